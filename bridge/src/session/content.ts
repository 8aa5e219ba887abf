/** What `send` frames may hold besides media: checked, then composed as WhatsApp's own clients do. */

import { randomBytes } from "node:crypto";

import { proto } from "baileys";
import type { WAMessageContent } from "baileys";

import { LIMITS } from "../limits.ts";
import { ProtocolError } from "../protocol.ts";

const USER_JID = /^[0-9.:_-]{1,64}@(s\.whatsapp\.net|lid)$/;
const { Type } = proto.Message.ProtocolMessage;

type Fields = Readonly<Record<string, unknown>>;

/** Another message of the chat. */
export interface Target {
  readonly id: string;
  readonly fromMe: boolean;
  readonly participant: string | null;
}

export interface Quoted extends Target {
  readonly text: string;
}

/** What may stand beside any content but a change of another message. */
export interface Beside {
  readonly quoted: Quoted | null;
  readonly mentions: readonly string[];
}

/** What a text shows of an address in it; given by the runtime, never fetched. */
export interface Link {
  readonly url: string;
  readonly title: string;
  readonly description: string | null;
}

export type PlainContent =
  | ({ readonly type: "text"; readonly text: string; readonly link: Link | null } & Beside)
  | ({
      readonly type: "location";
      readonly latitude: number;
      readonly longitude: number;
      readonly name: string | null;
      readonly address: string | null;
    } & Beside)
  | ({
      readonly type: "contacts";
      readonly contacts: readonly { readonly name: string; readonly vcard: string }[];
    } & Beside)
  | ({
      readonly type: "poll";
      readonly name: string;
      readonly options: readonly string[];
      readonly selectable: number;
    } & Beside)
  | { readonly type: "reaction"; readonly key: Target; readonly text: string }
  | { readonly type: "edit"; readonly key: Target; readonly text: string }
  | { readonly type: "delete"; readonly key: Target };

/** Read the content of a `send` frame; raises ProtocolError. */
export function plainContent(value: unknown): PlainContent {
  const content = record(value, "content");
  const { quoted, mentions, link, ...rest } = content;
  const [name, ...others] = Object.keys(rest);
  if (name === undefined || others.length > 0) {
    throw new ProtocolError("field content must hold one of text, location, contacts, poll, reaction, edit, delete");
  }
  const beside = besideOf(quoted, mentions);
  if (link !== undefined && name !== "text") throw new ProtocolError("field content.link goes with a text");
  const body = rest[name];
  switch (name) {
    case "text":
      return { type: "text", text: text(body, "text", LIMITS.TEXT), link: linkOf(link), ...beside };
    case "location": {
      const fields = record(body, "location");
      return {
        type: "location",
        latitude: degrees(fields["latitude"], 90),
        longitude: degrees(fields["longitude"], 180),
        name: optionalText(fields["name"], "name", LIMITS.PLACE),
        address: optionalText(fields["address"], "address", LIMITS.PLACE),
        ...beside,
      };
    }
    case "contacts":
      return {
        type: "contacts",
        contacts: list(body, "contacts", 1, LIMITS.CONTACTS).map((one) => {
          const fields = record(one, "contacts");
          return {
            name: text(fields["name"], "name", LIMITS.CONTACT_NAME),
            vcard: text(fields["vcard"], "vcard", LIMITS.TEXT),
          };
        }),
        ...beside,
      };
    case "poll": {
      const fields = record(body, "poll");
      const options = list(fields["options"], "options", 2, LIMITS.POLL_OPTIONS);
      const selectable = fields["selectable"] ?? 1;
      if (typeof selectable !== "number" || !Number.isInteger(selectable) || selectable < 0 || selectable > options.length) {
        throw new ProtocolError("field content.selectable must be at most the number of options");
      }
      return {
        type: "poll",
        name: text(fields["name"], "name", LIMITS.POLL_NAME),
        options: options.map((one) => text(one, "options", LIMITS.POLL_OPTION)),
        selectable,
        ...beside,
      };
    }
    case "reaction": {
      const fields = record(body, "reaction");
      const emoji = fields["text"];
      if (typeof emoji !== "string" || emoji.length > LIMITS.REACTION) throw new ProtocolError("field content.text must be an emoji");
      return { type: "reaction", key: target(fields["key"]), text: emoji };
    }
    case "edit": {
      const fields = record(body, "edit");
      return { type: "edit", key: target(fields["key"]), text: text(fields["text"], "text", LIMITS.TEXT) };
    }
    case "delete":
      return { type: "delete", key: target(record(body, "delete")["key"]) };
    default:
      throw new ProtocolError(`field content has unknown part ${name}`);
  }
}

/** The message to send. */
export function composePlain(to: string, content: PlainContent, myJid: string): WAMessageContent {
  switch (content.type) {
    case "text":
      return proto.Message.fromObject({
        extendedTextMessage: { text: content.text, ...preview(content.link), ...contextOf(content, to, myJid) },
      });
    case "location":
      return proto.Message.fromObject({
        locationMessage: {
          degreesLatitude: content.latitude,
          degreesLongitude: content.longitude,
          ...(content.name === null ? {} : { name: content.name }),
          ...(content.address === null ? {} : { address: content.address }),
          ...contextOf(content, to, myJid),
        },
      });
    case "contacts": {
      const cards = content.contacts.map(({ name, vcard }) => ({ displayName: name, vcard }));
      const context = contextOf(content, to, myJid);
      return proto.Message.fromObject(
        cards.length === 1
          ? { contactMessage: { ...cards[0], ...context } }
          : { contactsArrayMessage: { displayName: `${cards.length}`, contacts: cards, ...context } },
      );
    }
    case "poll": {
      const poll = {
        name: content.name,
        selectableOptionsCount: content.selectable,
        options: content.options.map((optionName) => ({ optionName })),
        ...contextOf(content, to, myJid),
      };
      return proto.Message.fromObject({
        messageContextInfo: { messageSecret: randomBytes(32) },
        ...(content.selectable === 1 ? { pollCreationMessageV3: poll } : { pollCreationMessage: poll }),
      });
    }
    case "reaction":
      return proto.Message.fromObject({
        reactionMessage: { key: keyOf(to, content.key), text: content.text, senderTimestampMs: Date.now() },
      });
    case "edit":
      return proto.Message.fromObject({
        protocolMessage: {
          key: keyOf(to, content.key),
          type: Type.MESSAGE_EDIT,
          editedMessage: { conversation: content.text },
          timestampMs: Date.now(),
        },
      });
    case "delete":
      return proto.Message.fromObject({
        protocolMessage: { key: keyOf(to, content.key), type: Type.REVOKE },
      });
  }
}

/** Attributes of the stanza that WhatsApp expects beside some contents. */
export function stanzaAttributes(message: WAMessageContent): Record<string, string> {
  const { protocolMessage } = message;
  if (!protocolMessage?.key) return {};
  if (protocolMessage.type === Type.MESSAGE_EDIT) return { edit: "1" };
  if (protocolMessage.type !== Type.REVOKE) return {};
  const others = protocolMessage.key.remoteJid?.endsWith("@g.us") && !protocolMessage.key.fromMe;
  return { edit: others ? "8" : "7" };
}

/** Nodes of the stanza that WhatsApp expects beside some contents. */
export function stanzaNodes(message: WAMessageContent): { tag: string; attrs: Record<string, string> }[] {
  const poll = message.pollCreationMessage ?? message.pollCreationMessageV3;
  return poll ? [{ tag: "meta", attrs: { polltype: "creation" } }] : [];
}

function preview(link: Link | null): Partial<proto.Message.IExtendedTextMessage> {
  if (link === null) return {};
  const { url, title, description } = link;
  const { NONE } = proto.Message.ExtendedTextMessage.PreviewType;
  return { matchedText: url, title, previewType: NONE, ...(description === null ? {} : { description }) };
}

export function contextOf({ quoted, mentions }: Beside, to: string, myJid: string): { contextInfo?: proto.IContextInfo } {
  if (quoted === null && mentions.length === 0) return {};
  const contextInfo: proto.IContextInfo = {};
  if (mentions.length > 0) contextInfo.mentionedJid = [...mentions];
  if (quoted !== null) {
    contextInfo.stanzaId = quoted.id;
    contextInfo.participant = quoted.fromMe ? myJid : (quoted.participant ?? to);
    contextInfo.quotedMessage = { conversation: quoted.text };
  }
  return { contextInfo };
}

/** The ids of others' messages are what their clients make of them. */
export function isForeignId(id: unknown): id is string {
  return typeof id === "string" && id !== "" && id.length <= LIMITS.MESSAGE_ID;
}

function keyOf(to: string, { id, fromMe, participant }: Target): proto.IMessageKey {
  return { remoteJid: to, fromMe, id, ...(participant === null ? {} : { participant }) };
}

function target(value: unknown): Target {
  const fields = record(value, "key");
  const { id, fromMe = true, participant = null } = fields;
  if (!isForeignId(id)) throw new ProtocolError("field content.key.id is malformed");
  if (typeof fromMe !== "boolean") throw new ProtocolError("field content.key.fromMe must be a boolean");
  if (participant !== null && (typeof participant !== "string" || !USER_JID.test(participant))) {
    throw new ProtocolError("field content.key.participant must be the JID of a user");
  }
  return { id, fromMe, participant };
}

/** Read what stands beside a content; raises ProtocolError. */
export function besideOf(quoted: unknown, mentions: unknown): Beside {
  return { quoted: quotedOf(quoted), mentions: mentionsOf(mentions) };
}

function linkOf(value: unknown): Link | null {
  if (value === undefined || value === null) return null;
  const { url, title, description } = record(value, "link");
  return {
    url: text(url, "url", LIMITS.LINK_URL),
    title: text(title, "title", LIMITS.LINK_TITLE),
    description: optionalText(description, "description", LIMITS.LINK_DESCRIPTION),
  };
}

function quotedOf(value: unknown): Quoted | null {
  if (value === undefined || value === null) return null;
  const said = record(value, "quoted")["text"];
  if (typeof said !== "string" || said.length > LIMITS.QUOTED) throw new ProtocolError("field content.quoted.text is malformed");
  return { ...target(value), text: said };
}

function mentionsOf(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  return list(value, "mentions", 0, LIMITS.MENTIONS).map((one) => {
    if (typeof one !== "string" || !USER_JID.test(one)) throw new ProtocolError("field content.mentions must hold JIDs of users");
    return one;
  });
}

function record(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError(`field ${name === "content" ? "" : "content."}${name} must be an object`);
  }
  return value as Fields;
}

function list(value: unknown, name: string, least: number, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    throw new ProtocolError(`field content.${name} must list ${least} to ${most}`);
  }
  return value;
}

function text(value: unknown, name: string, longest: number): string {
  if (typeof value !== "string" || value === "" || value.length > longest) {
    throw new ProtocolError(`field content.${name} must be a text of at most ${longest} characters`);
  }
  return value;
}

function optionalText(value: unknown, name: string, longest: number): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "string" || value.length > longest) {
    throw new ProtocolError(`field content.${name} must be a text of at most ${longest} characters`);
  }
  return value;
}

function degrees(value: unknown, most: number): number {
  if (typeof value !== "number" || !Number.isFinite(value) || Math.abs(value) > most) {
    throw new ProtocolError(`a coordinate must be at most ${most} degrees`);
  }
  return value;
}
