/**
 * Joins what Baileys decrypts to the stanza it came in.
 *
 * Baileys hands the very buffer of an `<enc>` to the Signal repository, so a WeakMap from that
 * buffer to the stanza, filled before Baileys' own listener runs, is exact.
 */

import { createHash } from "node:crypto";

import { cleanMessage, decodeMessageNode, getBinaryNodeChild } from "baileys";
import type { BinaryNode, WAMessage } from "baileys";

import type { Me } from "../protocol.ts";
import { encodeStanza } from "./codec.ts";
import type { InboundStanza } from "./store.ts";

/** The ciphertext types for which Baileys asks the Signal repository. */
const SIGNAL_TYPES = new Set(["pkmsg", "msg", "skmsg"]);

export interface Joined {
  readonly node: BinaryNode;
  readonly inbound: InboundStanza;
  readonly hash: Buffer;
}

export class StanzaJoin {
  readonly #byCiphertext = new WeakMap<Uint8Array, Joined>();

  /** Remember a stanza; raises when Baileys itself could not read its addresses. */
  note(node: BinaryNode, me: Me, receivedAt: number): InboundStanza {
    const offline = node.attrs["offline"];
    const identity = identityOf(node);
    const hashes = new Map<Uint8Array, Buffer>();
    for (const ciphertext of ciphertextsOf(node)) {
      hashes.set(ciphertext, sha256(identity, ciphertext));
    }
    const inbound: InboundStanza = {
      identity,
      messageId: node.attrs["id"] ?? "",
      header: JSON.stringify(headerOf(node, me)),
      stanza: encodeStanza(node, offline, (ciphertext) => hashes.get(ciphertext) ?? null),
      hashes: [...hashes.values()],
      offline: offline !== undefined,
      peer: node.attrs["category"] === "peer",
      receivedAt,
    };
    for (const [ciphertext, hash] of hashes) {
      this.#byCiphertext.set(ciphertext, { node, inbound, hash });
    }
    return inbound;
  }

  find(ciphertext: Uint8Array): Joined | null {
    return this.#byCiphertext.get(ciphertext) ?? null;
  }
}

export interface MessageHeader {
  readonly key: WAMessage["key"];
  readonly pushName: string | null;
  readonly timestamp: number;
}

function headerOf(node: BinaryNode, me: Me): MessageHeader {
  const { fullMessage } = decodeMessageNode(node, me.id, me.lid ?? "");
  const message = fullMessage as WAMessage;
  cleanMessage(message, me.id, me.lid ?? "");
  return {
    key: message.key,
    pushName: message.pushName ?? null,
    timestamp: Number(message.messageTimestamp ?? 0),
  };
}

/** What makes a stanza the same one when it is delivered again. */
function identityOf(node: BinaryNode): Buffer {
  const { from, participant, recipient, id } = node.attrs;
  return sha256(Buffer.from(JSON.stringify([from, participant, recipient, id])));
}

function ciphertextsOf(node: BinaryNode): Uint8Array[] {
  if (!Array.isArray(node.content)) return [];
  return node.content.flatMap(({ tag, attrs, content }) =>
    tag === "enc" && SIGNAL_TYPES.has(attrs["type"] ?? "") && content instanceof Uint8Array
      ? [content]
      : [],
  );
}

/** Baileys refuses a stanza whose first `<enc>` is of this type without decrypting anything. */
export function isRefused(node: BinaryNode): boolean {
  if (!Array.isArray(node.content)) return false;
  return node.content.find(({ tag }) => tag === "enc")?.attrs["type"] === "msmsg";
}

/** It came without its content, which the phone has: what an advertisement brings, for instance. */
export function isOwed(node: BinaryNode): boolean {
  const unavailable = getBinaryNodeChild(node, "unavailable");
  return unavailable !== undefined && unavailable.attrs["type"] !== "view_once";
}

function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
