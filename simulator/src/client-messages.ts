// Messages that companions send: acknowledged, then routed device by device.
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import type { Connection } from "./connection.ts";
import { type EncryptedPart, receive } from "./inbox.ts";
import { isGroupJid, parseJid } from "./jid.ts";
import { type BinaryNode, child, children, node } from "./nodes.ts";
import { onPeerMessage } from "./peer-messages.ts";
import type { World } from "./world.ts";

const NOT_FOUND = "404";

export function onClientMessage(connection: Connection, sender: Companion, stanza: BinaryNode): void {
  const { world } = connection;
  const { number } = sender.account;
  const { category, id, participant, to } = stanza.attrs;
  if (world.faults.strike("lose-sends", number)) return;
  const rejection = world.faults.strike("reject-sends", number);
  const known = isGroupJid(to) ? world.groups.has(to!) : world.findJid(to) !== undefined;
  const error = rejection ? String(rejection.code ?? 479) : known ? undefined : NOT_FOUND;
  if (error !== undefined || !world.faults.strike("lose-acks", number)) {
    connection.send(node("ack", { class: "message", id, from: to, participant, t: world.timestamp(), error }));
  }
  if (error !== undefined) return;
  if (category === "peer") onPeerMessage(world, sender, encryptedParts(stanza));
  else if (isGroupJid(to)) routeToGroup(world, sender, stanza);
  else routeDirect(world, sender, stanza);
}

function encryptedParts(holder: BinaryNode | undefined): EncryptedPart[] {
  return children(holder, "enc").map(({ attrs, content }) => ({
    type: attrs.type!,
    body: Buffer.from(content as Uint8Array),
  }));
}

function routeDirect(world: World, sender: Companion, stanza: BinaryNode): void {
  const direct = encryptedParts(stanza);
  if (direct.length > 0) {
    // A resend is for one device; the copies beside it repeat the same message.
    route(world, sender, stanza, stanza.attrs.to!, direct);
    return;
  }
  for (const to of children(child(stanza, "participants"), "to")) {
    route(world, sender, stanza, to.attrs.jid!, encryptedParts(to));
  }
}

function routeToGroup(world: World, sender: Companion, stanza: BinaryNode): void {
  const shared = encryptedParts(stanza);
  const { participant } = stanza.attrs;
  if (participant !== undefined) {
    route(world, sender, stanza, participant, shared);
    return;
  }
  const keys = new Map<string, EncryptedPart[]>();
  for (const to of children(child(stanza, "participants"), "to")) {
    const account = world.findJid(to.attrs.jid);
    const device = parseJid(to.attrs.jid)?.device;
    if (account) keys.set(`${account.number}:${device}`, encryptedParts(to));
  }
  for (const member of world.groups.get(stanza.attrs.to!)!.members.values()) {
    for (const device of [0, ...member.companions.keys()]) {
      if (member === sender.account && device === sender.device) continue;
      const parts = [...(keys.get(`${member.number}:${device}`) ?? []), ...shared];
      deliver(world, sender, stanza, member, device, parts);
    }
  }
}

function route(
  world: World,
  sender: Companion,
  stanza: BinaryNode,
  jid: string,
  parts: readonly EncryptedPart[],
): void {
  const account = world.findJid(jid);
  if (account) deliver(world, sender, stanza, account, parseJid(jid)!.device, parts);
}

function deliver(
  world: World,
  sender: Companion,
  stanza: BinaryNode,
  to: Account,
  device: number,
  parts: readonly EncryptedPart[],
): void {
  const { id, recipient, to: destination } = stanza.attrs;
  const group = isGroupJid(destination) ? destination : undefined;
  // A resend to an own device names the chat apart from the device.
  const chat = recipient ?? destination!;
  if (device === 0) {
    const lid = group !== undefined || chat.endsWith("@lid");
    const ownJid = lid ? to.lidJid : to.pnJid;
    const envelope = {
      id: id!,
      receiptFrom: group ?? ownJid,
      participant: group === undefined ? undefined : ownJid,
      group,
      recipient: world.findJid(chat)?.number,
    };
    receive(world, to, sender, envelope, parts);
    return;
  }
  const companion = to.companions.get(device);
  if (!companion) return;
  const encs = parts.map(({ type, body }) => node("enc", { v: "2", type }, body));
  const identity = child(stanza, "device-identity");
  const attributes = companionAttributes(world, sender, stanza, to, chat, group);
  companion.deliver("message", node("message", attributes, identity ? [...encs, identity] : encs));
}

function companionAttributes(
  world: World,
  sender: Companion,
  stanza: BinaryNode,
  to: Account,
  chat: string,
  group: string | undefined,
): Record<string, string | undefined> {
  const { account } = sender;
  const common = { id: stanza.attrs.id, type: stanza.attrs.type, t: world.timestamp(), notify: account.name };
  if (group !== undefined) {
    const mode = { addressing_mode: "lid", participant_pn: account.pnJid };
    return { ...common, ...mode, from: group, participant: sender.lidJid };
  }
  const lid = chat.endsWith("@lid");
  const mode = { addressing_mode: lid ? "lid" : "pn", from: lid ? sender.lidJid : sender.pnJid };
  if (to !== account) {
    return { ...common, ...mode, sender_pn: lid ? account.pnJid : undefined, sender_lid: lid ? undefined : account.lidJid };
  }
  const other = world.findJid(chat);
  return {
    ...common,
    ...mode,
    recipient: chat,
    peer_recipient_pn: lid ? other?.pnJid : undefined,
    peer_recipient_lid: lid ? undefined : other?.lidJid,
  };
}
