// Binary nodes: WhatsApp's stanzas, built and read.
import {
  type BinaryNode,
  decodeDecompressedBinaryNode,
  getBinaryNodeChild,
  getBinaryNodeChildBuffer,
  getBinaryNodeChildren,
} from "baileys";
import * as dictionary from "baileys/lib/WABinary/constants.js";
import { inflateSync } from "node:zlib";

export type { BinaryNode };
export { getBinaryNodeChild as child, getBinaryNodeChildBuffer as childBytes, getBinaryNodeChildren as children };

export const SERVER_JID = "s.whatsapp.net";
const COMPRESSED = 2;

type Attributes = Record<string, string | undefined>;

/** Builds a stanza; attributes that are undefined are left out. */
export function node(tag: string, attributes: Attributes = {}, content?: BinaryNode["content"]): BinaryNode {
  const attrs: BinaryNode["attrs"] = {};
  for (const key in attributes) {
    const value = attributes[key];
    if (value !== undefined) attrs[key] = value;
  }
  return content === undefined ? { tag, attrs } : { tag, attrs, content };
}

/** Decodes a decrypted frame. */
export function decodeNode(frame: Buffer): BinaryNode {
  const compressed = (frame[0]! & COMPRESSED) !== 0;
  const body = compressed ? inflateSync(frame.subarray(1)) : frame.subarray(1);
  return decodeDecompressedBinaryNode(body, dictionary);
}

/** The tag of the first child, or "". */
export function firstChildTag(stanza: BinaryNode): string {
  return Array.isArray(stanza.content) ? (stanza.content[0]?.tag ?? "") : "";
}

/** Reads a child's content as big-endian unsigned integer. */
export function childUint(stanza: BinaryNode | undefined, tag: string): number {
  const bytes = getBinaryNodeChildBuffer(stanza, tag);
  if (!bytes || bytes.length === 0) throw new Error(`missing <${tag}>`);
  return Buffer.from(bytes).readUIntBE(0, bytes.length);
}

/** Reads a child's content as bytes, or fails naming it. */
export function requireBytes(stanza: BinaryNode | undefined, tag: string): Buffer {
  const bytes = getBinaryNodeChildBuffer(stanza, tag);
  if (!bytes) throw new Error(`missing <${tag}>`);
  return Buffer.from(bytes);
}

export function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}
