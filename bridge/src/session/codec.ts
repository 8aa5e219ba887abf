/** How Signal keys and stanzas look at rest. */

import { BufferJSON, proto } from "baileys";
import type { BinaryNode } from "baileys";

/** A session as libsignal serialises it has no buffers to look for, and is read for each message. */
const PLAIN_JSON = "session";

/** Bytes stay bytes (Baileys wants sender keys as Buffers), everything else is BufferJSON. */
export function encodeKey(type: string, value: unknown): Uint8Array | string {
  if (type === PLAIN_JSON) return JSON.stringify(value);
  if (!(value instanceof Uint8Array)) return JSON.stringify(value, BufferJSON.replacer);
  if (type !== "sender-key") return value;
  // Baileys writes the buffers inside as arrays, which its own reader does not take for buffers:
  // the key of a skipped message would be unusable when that message comes.
  const record: unknown = JSON.parse(Buffer.from(value).toString());
  return Buffer.from(JSON.stringify(record, BufferJSON.replacer));
}

export function decodeKey(type: string, stored: unknown): unknown {
  if (stored instanceof Uint8Array) return Buffer.from(stored);
  if (type === PLAIN_JSON) return JSON.parse(String(stored));
  const value: unknown = JSON.parse(String(stored), BufferJSON.reviver);
  if (type === "app-state-sync-key") {
    return proto.Message.AppStateSyncKeyData.fromObject(value as Record<string, unknown>);
  }
  return value;
}

/** A stanza as JSON, each ciphertext replaced by its hash, `offline` as it really came. */
export function encodeStanza(
  node: BinaryNode,
  offline: string | undefined,
  hashOf: (ciphertext: Uint8Array) => Buffer | null,
): string {
  const attrs = { ...node.attrs };
  delete attrs["offline"];
  if (offline !== undefined) attrs["offline"] = offline;
  const content = Array.isArray(node.content)
    ? node.content.map((child) => {
        const hash = child.content instanceof Uint8Array ? hashOf(child.content) : null;
        return hash === null ? child : { ...child, content: hash };
      })
    : node.content;
  return JSON.stringify({ tag: node.tag, attrs, content }, BufferJSON.replacer);
}

export function decodeStanza(json: string): BinaryNode {
  return JSON.parse(json, BufferJSON.reviver) as BinaryNode;
}
