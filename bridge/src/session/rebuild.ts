/** Rebuilds the message events of the runtime from stored stanzas and plaintexts. */

import {
  WAMessageStubType,
  areJidsSameUser,
  cleanMessage,
  decryptMessageNode,
  isJidGroup,
  isLidUser,
  isPnUser,
  jidDecode,
  jidNormalizedUser,
  proto,
} from "baileys";
import type { BinaryNode, WAMessage } from "baileys";

import { log } from "../log.ts";
import type { Me } from "../protocol.ts";
import { changeIn, noGroups } from "./changes.ts";
import type { ChangeFacts, GroupLookup } from "./changes.ts";
import { isBroadcastList, usual } from "./chats.ts";
import { decodeStanza } from "./codec.ts";
import type { MessageHeader } from "./stanza-join.ts";
import type { Store } from "./store.ts";
import { voteIn } from "./votes.ts";
import type { Vote } from "./votes.ts";

export interface MessageKey {
  readonly remoteJid: string;
  readonly remoteJidAlt?: string;
  readonly fromMe: boolean;
  readonly id: string;
  readonly participant?: string;
  readonly participantAlt?: string;
}

/** `data` of a `message` event. */
export interface MessageData {
  readonly key: MessageKey;
  readonly phone: string | null;
  readonly lid: string | null;
  readonly pushName: string | null;
  /** What WhatsApp attests that a company is called. */
  readonly verifiedName?: string;
  readonly timestamp: number;
  readonly offline: boolean;
  readonly stub: string | null;
  readonly message: unknown;
  /** Only with a vote in a poll. */
  readonly vote?: Vote;
  /** Only with an edit, a deletion or a reaction. */
  readonly change?: ChangeFacts;
}

/** Looks both ways between phone numbers and LIDs, as far as the store knows. */
export interface Directory {
  phoneOf(jid: string | null | undefined): string | null;
  lidOf(jid: string | null | undefined): string | null;
}

export function directory(store: Store): Directory {
  const lookup = (id: string): string | null => {
    const value = store.keys("lid-mapping", [id])[id];
    return typeof value === "string" ? value : null;
  };
  return {
    phoneOf(jid) {
      const user = jid ? jidDecode(jid)?.user : undefined;
      if (user === undefined) return null;
      if (isPnUser(jid!)) return user;
      return isLidUser(jid!) ? lookup(`${user}_reverse`) : null;
    },
    lidOf(jid) {
      const user = jid ? jidDecode(jid)?.user : undefined;
      if (user === undefined) return null;
      if (isLidUser(jid!)) return `${user}@lid`;
      const lid = isPnUser(jid!) ? lookup(user) : null;
      return lid === null ? null : `${lid}@lid`;
    },
  };
}

const quiet = (): void => undefined;
const silentLogger = {
  level: "silent",
  child: () => silentLogger,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
};

type Repository = Parameters<typeof decryptMessageNode>[3];

/** Answers from the buffer; what is not there fails as it failed for Baileys. */
function bufferedRepository(store: Store): Repository {
  const plaintext = (hash: Uint8Array): Promise<Uint8Array> => {
    const body = store.plaintext(Buffer.from(hash));
    return body === null || body === "erased"
      ? Promise.reject(new Error("not decrypted"))
      : Promise.resolve(body);
  };
  const repository = {
    decryptMessage: ({ ciphertext }: { ciphertext: Uint8Array }) => plaintext(ciphertext),
    decryptGroupMessage: ({ msg }: { msg: Uint8Array }) => plaintext(msg),
    processSenderKeyDistributionMessage: () => Promise.resolve(),
    migrateSession: () => Promise.resolve({ migrated: 0, skipped: 0, total: 0 }),
    lidMapping: {
      getLIDForPN: () => Promise.resolve(null),
      storeLIDPNMappings: () => Promise.resolve(),
    },
  };
  return repository as unknown as Repository;
}

/** The message as Baileys itself would emit it. */
export async function rebuildMessage(
  node: BinaryNode,
  me: Me,
  store: Store,
): Promise<WAMessage> {
  const repository = bufferedRepository(store);
  const decoded = decryptMessageNode(node, me.id, me.lid ?? "", repository, silentLogger);
  await decoded.decrypt();
  const message = decoded.fullMessage as WAMessage;
  cleanMessage(message, me.id, me.lid ?? "");
  return message;
}

/** `data` for the inbound row of an event; never raises for a strange message, it becomes a stub. */
export async function messageData(
  inboundId: number,
  me: Me,
  store: Store,
  groupOf: GroupLookup = noGroups,
): Promise<MessageData> {
  const row = store.inbound(inboundId);
  if (row === null || row.stanza === null) {
    throw new Error("event without its stanza");
  }
  const names = directory(store);
  const header = JSON.parse(row.header) as MessageHeader;
  try {
    const node = decodeStanza(row.stanza);
    const message = await rebuildMessage(node, me, store);
    const data = describe(message, node, row.offline, me, names);
    const { participant, participantAlt, remoteJid, remoteJidAlt } = message.key;
    const voter = [participant, participantAlt, ...(participant ? [] : [remoteJid, remoteJidAlt])];
    const vote = voteIn(message.message, voter.filter((jid) => typeof jid === "string"), me, store);
    const change = await changeIn(message, me, names, groupOf);
    return { ...data, ...(vote === undefined ? {} : { vote }), ...(change === undefined ? {} : { change }) };
  } catch (error) {
    log("error", "rebuild_failed", { error: error instanceof Error ? error.name : "unknown" });
    const stub = { key: header.key, messageStubType: WAMessageStubType.CIPHERTEXT } as WAMessage;
    stub.messageTimestamp = header.timestamp;
    return describe(stub, null, row.offline, me, names);
  }
}

/** `data` for a message that came inside another one (a placeholder that the phone resent). */
export function resentData(
  message: WAMessage,
  header: MessageHeader | null,
  me: Me,
  names: Directory,
): MessageData {
  const merged = { ...message, key: header?.key ?? message.key } as WAMessage;
  merged.pushName = message.pushName ?? header?.pushName ?? null;
  merged.messageTimestamp = message.messageTimestamp ?? header?.timestamp ?? null;
  cleanMessage(merged, me.id, me.lid ?? "");
  return describe(merged, null, true, me, names);
}

function describe(
  message: WAMessage,
  node: BinaryNode | null,
  offline: boolean,
  me: Me,
  names: Directory,
): MessageData {
  const stub = stubOf(message);
  return {
    key: keyOf(message.key),
    ...otherParty(message.key, node, me, names),
    pushName: message.pushName ?? null,
    ...(message.verifiedBizName ? { verifiedName: message.verifiedBizName } : {}),
    timestamp: Number(message.messageTimestamp ?? 0),
    offline,
    stub,
    message: stub === null && message.message ? proto.Message.fromObject(message.message) : null,
  };
}

export function keyOf(key: WAMessage["key"]): MessageKey {
  return {
    remoteJid: key.remoteJid ?? "",
    ...(key.remoteJidAlt ? { remoteJidAlt: jidNormalizedUser(key.remoteJidAlt) } : {}),
    fromMe: key.fromMe ?? false,
    id: key.id ?? "",
    ...(key.participant ? { participant: key.participant } : {}),
    ...(key.participantAlt ? { participantAlt: jidNormalizedUser(key.participantAlt) } : {}),
  };
}

function stubOf(message: WAMessage): string | null {
  const type = message.messageStubType;
  if (type === WAMessageStubType.CIPHERTEXT) return message.key.isViewOnce ? "view_once" : "ciphertext";
  // A view-once message is never given to a companion: Baileys marks the key and leaves it empty.
  if (!message.message && !type) return message.key.isViewOnce ? "view_once" : "ciphertext";
  return type ? (WAMessageStubType[type] ?? String(type)) : null;
}

function otherParty(
  key: WAMessage["key"],
  node: BinaryNode | null,
  me: Me,
  names: Directory,
): { phone: string | null; lid: string | null } {
  const list = isBroadcastList(key.remoteJid);
  const chat = usual((list ? key.participant : key.remoteJid) ?? "");
  if (isJidGroup(chat) || !(isPnUser(chat) || isLidUser(chat))) return { phone: null, lid: null };
  const isMe = (jid: string): boolean =>
    areJidsSameUser(jid, me.id) || areJidsSameUser(jid, me.lid ?? "");
  // Of our own messages the alternate address may be our own: the chat's is then in the stanza.
  const alternates = [
    key.remoteJidAlt,
    ...(list ? [node?.attrs["participant_pn"], node?.attrs["participant_lid"]] : []),
    node?.attrs["recipient_pn"],
    node?.attrs["recipient_lid"],
    node?.attrs["peer_recipient_pn"],
    node?.attrs["peer_recipient_lid"],
  ].filter((jid): jid is string => Boolean(jid) && (isMe(chat) || !isMe(jid!)));
  const addresses = [chat, ...alternates.map(usual)];
  const first = <T>(values: (T | null)[]): T | null => values.find((v) => v !== null) ?? null;
  return {
    phone: first(addresses.map((jid) => names.phoneOf(isPnUser(jid) ? jid : null))) ??
      first(addresses.map((jid) => names.phoneOf(jid))),
    lid: first(addresses.map((jid) => names.lidOf(isLidUser(jid) ? jid : null))) ??
      first(addresses.map((jid) => names.lidOf(jid))),
  };
}
