// What leaves no message behind: presence, typing, calls.
import type { Account } from "./account.ts";
import type { Connection } from "./connection.ts";
import { type BinaryNode, child, firstChildTag, node } from "./nodes.ts";
import { messageId, stanzaId, type World } from "./world.ts";

/** Something a companion signalled: its presence, a chat state, a rejected call. */
export type Signal = {
  readonly kind: "presence" | "chatstate" | "call";
  readonly state: string;
  /** Number of the other side, or the jid if nobody has it; null for a presence to all. */
  readonly to: string | null;
  readonly at: number;
};

const MAX_SIGNALS = 1000;
export const CHAT_STATES = ["composing", "recording", "paused"] as const;

const signals = new WeakMap<Account, Signal[]>();

export function signalsOf(account: Account): readonly Signal[] {
  return signals.get(account) ?? [];
}

/** Records a signal of a client; a rejected call is acknowledged, for clients wait for that. */
export function onClientSignal(connection: Connection, account: Account, stanza: BinaryNode): void {
  const { attrs, tag } = stanza;
  const { world } = connection;
  const media = child(stanza, "composing")?.attrs.media;
  const state = tag === "presence" ? (attrs.type ?? "available") : media === "audio" ? "recording" : firstChildTag(stanza);
  const to = attrs.to === undefined ? null : (world.findJid(attrs.to)?.number ?? attrs.to);
  const all = signals.get(account) ?? [];
  signals.set(account, all);
  all.push({ kind: tag as Signal["kind"], state: state ?? "", to, at: Date.now() });
  if (all.length > MAX_SIGNALS) all.shift();
  if (tag === "call") connection.send(node("ack", { class: "call", id: attrs.id, from: attrs.to, type: state }));
}

/** Shows the companions of an account what somebody is doing. */
export function showChatState(from: Account, to: Account, state: (typeof CHAT_STATES)[number]): void {
  const tag = state === "recording" ? "composing" : state;
  const inner = node(tag, state === "recording" ? { media: "audio" } : {});
  const attrs = { from: from.addressing === "lid" ? from.lidJid : from.pnJid };
  for (const { connection } of to.companions.values()) connection?.send(node("chatstate", attrs, [inner]));
}

/** Rings the companions of an account; returns the call's id. */
export function call(world: World, from: Account, to: Account, video: boolean): string {
  const id = messageId();
  const creator = from.addressing === "lid" ? from.lidJid : from.pnJid;
  const attrs = { "call-id": id, "call-creator": creator, caller_pn: from.pnJid };
  const offer = node("offer", attrs, video ? [node("audio"), node("video")] : [node("audio")]);
  for (const { connection } of to.companions.values()) {
    connection?.send(node("call", { from: creator, id: stanzaId(), t: world.timestamp(), notify: from.name }, [offer]));
  }
  return id;
}
