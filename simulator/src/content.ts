// What is inside the ciphertext: padded protobuf messages.
import { encodeWAMessage, proto, unpadRandomMax16 } from "baileys";

export type Content = proto.IMessage;

export function encodeContent(content: Content): Buffer {
  return encodeWAMessage(content) as Buffer;
}

export function decodeContent(plaintext: Buffer): proto.Message {
  return proto.Message.decode(unpadRandomMax16(plaintext));
}

/** The kind of content and the text a person would see, "" if there is none. */
export function describe(content: Content): { kind: string; text: string } {
  const inner =
    content.ephemeralMessage?.message ??
    content.viewOnceMessage?.message ??
    content.viewOnceMessageV2?.message ??
    content.documentWithCaptionMessage?.message ??
    content;
  if (inner.conversation) return { kind: "conversation", text: inner.conversation };
  const kinds = Object.entries(inner).filter(
    ([kind, value]) => value && kind !== "messageContextInfo" && kind !== "senderKeyDistributionMessage",
  );
  const [kind, value] = kinds[0] ?? ["unknown", {}];
  const body = value as { text?: string; caption?: string; fileName?: string };
  return { kind, text: body.text ?? body.caption ?? body.fileName ?? "" };
}

/** The content that an admin request spells as protobuf JSON. */
export function readContent(message: unknown): proto.IMessage {
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw new RangeError("message has to be an object");
  }
  return proto.Message.fromObject(message as Record<string, unknown>);
}
