/** Frames between runtime and bridge, protocol version 1; specified in README.md. */

import { mediaContent } from "./media/content.ts";
import type { MediaContent } from "./media/content.ts";
import { behaviourOf } from "./session/behaviour.ts";
import type { Behaviour } from "./session/behaviour.ts";
import { isForeignId, plainContent } from "./session/content.ts";
import type { PlainContent } from "./session/content.ts";
import type { Cause } from "./session/way.ts";

export const PROTOCOL_VERSION = 1;
export const MAX_FRAME_BYTES = 1024 * 1024;
export const MAX_WINDOW = 10_000;
export const MAX_PHONES_PER_CHECK = 50;

export const CLOSE_REPLACED = 4001;
export const CLOSE_PROTOCOL = 4002;
export const CLOSE_STORAGE = 4003;

export const MAX_READ_IDS = 1000;

export type SendContent = PlainContent | MediaContent;

export const PRESENCES = ["available", "unavailable", "composing", "recording", "paused"] as const;
export type PresenceState = (typeof PRESENCES)[number];

export type RuntimeFrame =
  | { readonly type: "hello"; readonly generation: number; readonly window: number }
  | { readonly type: "open"; readonly options: Behaviour }
  | { readonly type: "configure"; readonly options: Behaviour }
  | { readonly type: "close" }
  | { readonly type: "ack"; readonly seq: number }
  | {
      readonly type: "send";
      readonly requestId: string;
      readonly messageId: string;
      readonly to: string;
      readonly content: SendContent;
    }
  | { readonly type: "check"; readonly requestId: string; readonly phones: readonly string[] }
  | { readonly type: "pairingCode"; readonly requestId: string; readonly phone: string }
  | { readonly type: "probe"; readonly requestId: string }
  | {
      readonly type: "read";
      readonly requestId: string;
      readonly chat: string;
      readonly ids: readonly string[];
    }
  | {
      readonly type: "presence";
      readonly requestId: string;
      readonly to: string | null;
      readonly state: PresenceState;
    }
  | { readonly type: "sent"; readonly requestId: string; readonly messageId: string }
  | { readonly type: "picture"; readonly requestId: string; readonly jid: string }
  | { readonly type: "group"; readonly requestId: string; readonly jid: string }
  | { readonly type: "logout"; readonly requestId: string; readonly reason: string }
  | { readonly type: "restore"; readonly requestId: string; readonly archive: string };

export interface Me {
  readonly id: string;
  readonly lid: string | null;
  readonly name: string | null;
  readonly phone: string | null;
}

export type ConnectionState =
  | { readonly state: "connecting" }
  | { readonly state: "qr"; readonly qr: string; readonly expiresAt: number }
  | { readonly state: "open"; readonly me: Me | null }
  | {
      readonly state: "closed";
      readonly code: number;
      /** `whatsapp` if WhatsApp said so; everything else says nothing about the session. */
      readonly cause: Cause;
      readonly reason: string;
      readonly qrEnded: boolean;
    };

export interface ReplyError {
  /** A stable snake_case word. */
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  /** WhatsApp's own number for it, where WhatsApp refused. */
  readonly reason?: number;
}

export type EventKind = "message" | "status" | "read" | "call" | "contact" | "oversized";

/** What somebody is doing right now: a chat's other party, or a member of a group. */
export interface SeenPresence {
  readonly jid: string;
  readonly phone: string | null;
  readonly lid: string | null;
  readonly participant: string | null;
  readonly state: string;
  readonly lastSeen: number | null;
}

export type BridgeFrame =
  | {
      readonly type: "welcome";
      readonly epoch: string;
      readonly registered: boolean;
      readonly me: Me | null;
      readonly pendingEvents: number;
    }
  | ({ readonly type: "state"; readonly generation: number } & ConnectionState)
  | {
      readonly type: "event";
      readonly seq: number;
      readonly kind: EventKind;
      readonly receivedAt: number;
      readonly data: unknown;
    }
  | ({ readonly type: "presence" } & SeenPresence)
  | { readonly type: "reply"; readonly requestId: string; readonly ok: true; readonly data: unknown }
  | {
      readonly type: "reply";
      readonly requestId: string;
      readonly ok: false;
      readonly error: ReplyError;
    }
  | { readonly type: "fault"; readonly message: string };

/** A frame that is not in the protocol; its message goes back in a `fault` frame. */
export class ProtocolError extends Error {}

/** A request that could not be done; becomes the `error` of a reply. */
export class RequestError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly reason: number | undefined;

  constructor(code: string, message: string, retryable: boolean, reason?: number) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.reason = reason;
  }
}

export function encodeFrame(frame: BridgeFrame): string {
  return JSON.stringify({ v: PROTOCOL_VERSION, ...frame });
}

export function isConnectionId(value: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(value);
}

type Fields = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function stringField(frame: Fields, name: string, pattern: RegExp): string {
  const value = frame[name];
  if (typeof value !== "string" || !pattern.test(value)) {
    throw new ProtocolError(`field ${name} is missing or malformed`);
  }
  return value;
}

function integerField(frame: Fields, name: string, minimum: number, maximum: number): number {
  const value = frame[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw new ProtocolError(`field ${name} must be an integer`);
  }
  if (value < minimum || value > maximum) {
    throw new ProtocolError(`field ${name} must be between ${minimum} and ${maximum}`);
  }
  return value;
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const MESSAGE_ID = /^[A-Za-z0-9_.-]{1,128}$/;
const JID = /^[A-Za-z0-9_.:-]{1,64}@(s\.whatsapp\.net|lid|g\.us|newsletter)$/;
const GROUP_JID = /^[0-9-]{5,64}@g\.us$/;
const PHONE = /^[0-9]{5,20}$/;
const WORD = /^[a-z_]{1,64}$/;
/** The time in the name of an archive. */
const ARCHIVE = /^[0-9]{1,16}$/;

function contentField(frame: Fields): SendContent {
  const content = frame["content"];
  const media = isRecord(content) ? mediaContent(content) : null;
  if (media !== null) return media;
  return plainContent(content);
}

function idsField(frame: Fields): readonly string[] {
  const ids = frame["ids"];
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > MAX_READ_IDS) {
    throw new ProtocolError(`field ids must list 1 to ${MAX_READ_IDS} messages`);
  }
  return ids.map((id: unknown) => {
    if (!isForeignId(id)) throw new ProtocolError("field ids is malformed");
    return id;
  });
}

function presenceField(frame: Fields): PresenceState {
  const state = PRESENCES.find((one) => one === frame["state"]);
  if (state === undefined) throw new ProtocolError(`field state must be one of ${PRESENCES.join(", ")}`);
  return state;
}

function phonesField(frame: Fields): readonly string[] {
  const phones = frame["phones"];
  if (!Array.isArray(phones) || phones.length === 0 || phones.length > MAX_PHONES_PER_CHECK) {
    throw new ProtocolError(`field phones must list 1 to ${MAX_PHONES_PER_CHECK} phones`);
  }
  return phones.map((phone: unknown) => {
    if (typeof phone !== "string" || !PHONE.test(phone)) {
      throw new ProtocolError("field phones must hold digits only");
    }
    return phone;
  });
}

/**
 * The request in a frame that cannot be read, to be answered with the reason; null when there is none.
 * One message that cannot be sent must not end the connection again and again.
 */
export function requestIn(text: string): string | null {
  try {
    const { v, requestId } = JSON.parse(text) as Fields;
    return v === PROTOCOL_VERSION && typeof requestId === "string" && REQUEST_ID.test(requestId) ? requestId : null;
  } catch {
    return null;
  }
}

/** Parse one frame of the runtime; raises ProtocolError for anything that is not in version 1. */
export function parseFrame(text: string): RuntimeFrame {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    throw new ProtocolError("frame is not JSON");
  }
  if (!isRecord(frame)) throw new ProtocolError("frame is not an object");
  if (frame["v"] !== PROTOCOL_VERSION) {
    throw new ProtocolError(`version must be ${PROTOCOL_VERSION}`);
  }
  const requestId = (): string => stringField(frame, "requestId", REQUEST_ID);
  switch (frame["type"]) {
    case "hello":
      return {
        type: "hello",
        generation: integerField(frame, "generation", 0, Number.MAX_SAFE_INTEGER),
        window: integerField(frame, "window", 1, MAX_WINDOW),
      };
    case "open":
      return { type: "open", options: behaviourOf(frame["options"]) };
    case "configure":
      return { type: "configure", options: behaviourOf(frame["options"]) };
    case "close":
      return { type: "close" };
    case "ack":
      return { type: "ack", seq: integerField(frame, "seq", 1, Number.MAX_SAFE_INTEGER) };
    case "send":
      return {
        type: "send",
        requestId: requestId(),
        messageId: stringField(frame, "messageId", MESSAGE_ID),
        to: stringField(frame, "to", JID),
        content: contentField(frame),
      };
    case "check":
      return { type: "check", requestId: requestId(), phones: phonesField(frame) };
    case "pairingCode":
      return {
        type: "pairingCode",
        requestId: requestId(),
        phone: stringField(frame, "phone", PHONE),
      };
    case "probe":
      return { type: "probe", requestId: requestId() };
    case "read":
      return {
        type: "read",
        requestId: requestId(),
        chat: stringField(frame, "chat", JID),
        ids: idsField(frame),
      };
    case "presence":
      return {
        type: "presence",
        requestId: requestId(),
        to: frame["to"] === undefined || frame["to"] === null ? null : stringField(frame, "to", JID),
        state: presenceField(frame),
      };
    case "sent":
      return {
        type: "sent",
        requestId: requestId(),
        messageId: stringField(frame, "messageId", MESSAGE_ID),
      };
    case "picture":
      return { type: "picture", requestId: requestId(), jid: stringField(frame, "jid", JID) };
    case "group":
      return { type: "group", requestId: requestId(), jid: stringField(frame, "jid", GROUP_JID) };
    case "logout":
      return {
        type: "logout",
        requestId: requestId(),
        reason: frame["reason"] === undefined ? "unknown" : stringField(frame, "reason", WORD),
      };
    case "restore":
      return { type: "restore", requestId: requestId(), archive: stringField(frame, "archive", ARCHIVE) };
    default:
      throw new ProtocolError("unknown frame type");
  }
}
