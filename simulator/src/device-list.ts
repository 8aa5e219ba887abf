// Device lists: telling those who cached one that it has changed.
import { createHash } from "node:crypto";
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import { type BinaryNode, node } from "./nodes.ts";
import { stanzaId } from "./world.ts";

function deviceHash(account: Account): string {
  const devices = [0, ...account.companions.keys()].join(",");
  return `2:${createHash("sha256").update(devices).digest("base64").slice(0, 6)}`;
}

/** `<device-list>` as usync answers carry it. Companions need a key index other than zero. */
export function deviceListNode(account: Account): BinaryNode {
  const companions = [...account.companions.keys()].map((device) =>
    node("device", { id: String(device), "key-index": String(device) }),
  );
  return node("device-list", {}, [node("device", { id: "0" }), ...companions]);
}

/** Notifies the account's own companions and everyone who asked for its devices before. */
export function announceDevices(account: Account, change: "add" | "remove", changed: Companion): void {
  const audience = new Set([...account.companions.values(), ...account.watchers]);
  audience.delete(changed);
  for (const companion of audience) {
    if (!companion.account.companions.has(companion.device)) {
      account.watchers.delete(companion);
      continue;
    }
    const t = String(Math.floor(Date.now() / 1000));
    const content = [
      node("device", { jid: changed.lidJid, "key-index": String(changed.device) }),
      node("key-index-list", { ts: t }),
    ];
    const body = node(change, { device_hash: deviceHash(account) }, content);
    const attrs = { id: stanzaId(), from: account.lidJid, type: "devices", t };
    companion.deliver("notification", node("notification", attrs, [body]));
  }
}
