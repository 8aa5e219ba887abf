// What a simulated account writes: encrypted for every companion of the recipients and, as a
// copy, for its own.
import { proto } from "baileys";
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import { type Content, describe, encodeContent } from "./content.ts";
import type { Group } from "./groups.ts";
import { show } from "./inbox.ts";
import type { SentMessage } from "./ledger.ts";
import { mediaMessage, type MediaRecord } from "./media-messages.ts";
import { type BinaryNode, node } from "./nodes.ts";
import { messageId, type World } from "./world.ts";

export type Target = { readonly account: Account } | { readonly group: Group };
export type Attributes = Record<string, string | undefined>;

/** Lets the sockets breathe between this many messages of one burst. */
const BURST = 32;
let sentInBurst = 0;

/** Encrypts for one device, opening a session first if there is none. */
export async function encryptFor(author: Account, companion: Companion, content: Content): Promise<BinaryNode> {
  const peer = companion.account.number;
  if (!author.device.hasSession(peer, companion.device)) {
    await author.device.openSession(peer, companion.device, companion.takeBundle());
  }
  const { type, body } = await author.device.encrypt(peer, companion.device, encodeContent(content));
  return node("enc", { v: "2", type }, body);
}

export type Sending = { readonly id: string; readonly accepted: Promise<void> };

export interface SendOptions {
  readonly id?: string;
  readonly media?: MediaRecord;
  readonly secondsAgo?: number;
  /** What WhatsApp attests that the sender, a company, is called. */
  readonly verifiedName?: string;
  /** Of the stanza, over the usual ones; undefined takes one away. Only in a chat of two. */
  readonly attributes?: Attributes;
}

/** Writes a text. The id is known at once; the promise resolves when the server has it. */
export function sendText(world: World, author: Account, target: Target, text: string, id = messageId()): Sending {
  return sendContent(world, author, target, { conversation: text }, { id });
}

/** Writes anything; `media` is what the ledger says of the content's media. */
export function sendContent(
  world: World,
  author: Account,
  target: Target,
  content: Content,
  { id = messageId(), media, secondsAgo = 0, attributes = {}, verifiedName }: SendOptions = {},
): Sending {
  const to = "group" in target ? target.group.jid : target.account.number;
  const { text } = describe(content);
  const sentAt = Date.now() - secondsAgo * 1000;
  const message: SentMessage = { id, to, text, content, media, sentAt, receipts: 0, retries: 0, nacks: [] };
  const accepted = author.run(async () => {
    author.sent.set(id, message);
    if ("group" in target) await sendToGroup(world, author, target.group, message);
    else await sendToAccount(world, author, target.account, message, attributes, verifiedName);
    sentInBurst += 1;
    if (sentInBurst % BURST === 0) await new Promise((resolve) => setImmediate(resolve));
  });
  return { id, accepted };
}

/** The `type` of the stanza that carries a content. */
function stanzaType(content: Content): string {
  return mediaMessage(content) ? "media" : "text";
}

/** Attributes of a message in a chat of two, as the recipient's companions get it. */
export function directAttributes(author: Account, { content, id, sentAt }: SentMessage): Attributes {
  const lid = author.addressing === "lid";
  return {
    id,
    from: lid ? author.lidJid : author.pnJid,
    type: stanzaType(content),
    t: String(Math.floor(sentAt / 1000)),
    notify: author.name,
    addressing_mode: author.addressing,
    sender_pn: lid && !author.hidesNumber ? author.pnJid : undefined,
    sender_lid: lid ? undefined : author.lidJid,
  };
}

/** Attributes of the copy that the author's own companions get. */
export function ownCopyAttributes(
  world: World,
  author: Account,
  recipient: Account,
  { content, id }: SentMessage,
): Attributes {
  const lid = author.addressing === "lid";
  return {
    id,
    from: lid ? author.lidJid : author.pnJid,
    recipient: lid ? recipient.lidJid : recipient.pnJid,
    type: stanzaType(content),
    t: world.timestamp(),
    notify: author.name,
    addressing_mode: author.addressing,
    peer_recipient_pn: lid ? recipient.pnJid : undefined,
    peer_recipient_lid: lid ? undefined : recipient.lidJid,
  };
}

export function groupAttributes(world: World, author: Account, group: string, { content, id }: SentMessage): Attributes {
  return {
    id,
    from: group,
    participant: author.lidJid,
    participant_pn: author.pnJid,
    addressing_mode: "lid",
    type: stanzaType(content),
    t: world.timestamp(),
    notify: author.name,
  };
}

/** The own copy's content, wrapped as devices of one account exchange it. */
export function deviceSent(destinationJid: string, message: Content): Content {
  return { deviceSentMessage: { destinationJid, message } };
}

function certificate(verifiedName: string): BinaryNode {
  const details = proto.VerifiedNameCertificate.Details.encode({ verifiedName }).finish();
  return node("verified_name", { v: "1" }, proto.VerifiedNameCertificate.encode({ details }).finish());
}

async function sendToAccount(
  world: World,
  author: Account,
  to: Account,
  message: SentMessage,
  free: Attributes,
  verifiedName?: string,
): Promise<void> {
  const { content, id, media } = message;
  const direct = { ...directAttributes(author, message), ...free };
  for (const companion of to.companions.values()) {
    if (world.faults.strike("unavailable", to.number)) {
      // As the first message from an advertisement: the content has to be asked for.
      companion.deliver("message", node("message", direct, [node("unavailable")]));
      continue;
    }
    if (content.viewOnceMessageV2) {
      // Only a phone shows it: companions are told that there is something.
      const unavailable = node("unavailable", { type: "view_once" });
      companion.deliver("message", node("message", direct, [unavailable]));
      continue;
    }
    const enc = await encryptFor(author, companion, content);
    const attested = verifiedName === undefined ? [] : [certificate(verifiedName)];
    companion.deliver("message", node("message", direct, [...attested, enc]));
  }
  for (const companion of author.companions.values()) {
    const attributes = ownCopyAttributes(world, author, to, message);
    const enc = await encryptFor(author, companion, deviceSent(attributes.recipient!, content));
    companion.deliver("message", node("message", attributes, [enc]));
  }
  const receiptFrom = author.addressing === "lid" ? to.lidJid : to.pnJid;
  const described = { ...describe(content), media };
  show(world, to, { id, receiptFrom }, { author, device: 0, chat: author.number, fromMe: false, content: described });
}

async function sendToGroup(world: World, author: Account, group: Group, message: SentMessage): Promise<void> {
  const { content, id, media } = message;
  const distribution = await author.device.senderKeyDistribution(group.jid);
  const ciphertext = await author.device.encryptForGroup(group.jid, encodeContent(content));
  let holders = author.senderKeyHolders.get(group.jid);
  if (!holders) author.senderKeyHolders.set(group.jid, (holders = new Set()));
  for (const member of group.members.values()) {
    for (const companion of member.companions.values()) {
      const parts: BinaryNode[] = [];
      if (!holders.has(companion.lidJid)) {
        const senderKeyDistributionMessage = {
          groupId: group.jid,
          axolotlSenderKeyDistributionMessage: distribution,
        };
        parts.push(await encryptFor(author, companion, { senderKeyDistributionMessage }));
        holders.add(companion.lidJid);
      }
      parts.push(node("enc", { v: "2", type: "skmsg" }, ciphertext));
      companion.deliver("message", node("message", groupAttributes(world, author, group.jid, message), parts));
    }
    if (member === author) continue;
    show(
      world,
      member,
      { id, receiptFrom: group.jid, participant: member.lidJid, group: group.jid },
      { author, device: 0, chat: group.jid, fromMe: false, content: { ...describe(content), media } },
    );
  }
}
