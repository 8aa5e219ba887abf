/**
 * Who makes a change (an edit, a deletion, a reaction) and whose message it names.
 *
 * The authority is the sender that WhatsApp has authenticated. What the payload's key says only
 * tells which message is meant.
 */

import { areJidsSameUser, isJidGroup, isPnUser, jidNormalizedUser, normalizeMessageContent, proto } from "baileys";
import type { GroupMetadata, WAMessage } from "baileys";

import { log } from "../log.ts";
import type { Me } from "../protocol.ts";
import type { Directory } from "./rebuild.ts";

/** `change` of a `message` event. */
export interface ChangeFacts {
  /** The addresses of its author, as far as they are known; none of the account itself. */
  readonly author: readonly string[];
  /** Whose message the key names; null where it names nobody. */
  readonly target: { readonly own: boolean; readonly addresses: readonly string[] } | null;
  /**
   * Only for a deletion of another's message in a group: whether its author administers the group;
   * null when that could not be told.
   */
  readonly admin: boolean | null;
}

/** The metadata of a group, asked for if need be; null when it cannot be had now. */
export type GroupLookup = (jid: string) => Promise<GroupMetadata | null>;

export const noGroups: GroupLookup = () => Promise.resolve(null);

const { REVOKE, MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type;

/** Undefined for a message that changes no other. */
export async function changeIn(
  message: WAMessage,
  me: Me,
  names: Directory,
  groupOf: GroupLookup,
): Promise<ChangeFacts | undefined> {
  const content = normalizeMessageContent(message.message);
  const { protocolMessage, reactionMessage } = content ?? {};
  const isRevoke = protocolMessage?.type === REVOKE;
  const isEdit = protocolMessage?.type === MESSAGE_EDIT;
  const key = reactionMessage?.key ?? (isRevoke || isEdit ? protocolMessage.key : null);
  if (!key) return undefined;
  const { fromMe, participant, participantAlt, remoteJid, remoteJidAlt } = message.key;
  const inGroup = isJidGroup(remoteJid ?? undefined) === true;
  const author = fromMe ? [] : addressesOf(inGroup ? [participant, participantAlt] : [remoteJid, remoteJidAlt], names);
  const named = inGroup && key.participant ? addressesOf([key.participant], names) : null;
  const target = named && { own: named.some((jid) => isMe(jid, me)), addresses: named };
  const ofAnother = named !== null && !named.some((jid) => author.includes(jid));
  const admin = isRevoke && !fromMe && ofAnother ? await isAdmin(author, remoteJid!, groupOf) : null;
  return { author, target, admin };
}

async function isAdmin(author: readonly string[], group: string, groupOf: GroupLookup): Promise<boolean | null> {
  const metadata = await groupOf(group);
  if (metadata === null) {
    log("warn", "deletion_ignored", { reason: "who administers the group could not be told" });
    return null;
  }
  const admins = metadata.participants.filter(({ admin }) => admin).flatMap(({ id, lid, phoneNumber }) => [id, lid, phoneNumber]);
  const found = admins.some((jid) => jid !== undefined && author.includes(jidNormalizedUser(jid)));
  if (!found) log("warn", "deletion_ignored", { reason: "neither the author nor an admin of the group" });
  return found;
}

function isMe(jid: string, me: Me): boolean {
  return areJidsSameUser(jid, isPnUser(jid) ? me.id : (me.lid ?? undefined));
}

function addressesOf(jids: readonly (string | null | undefined)[], names: Directory): string[] {
  const known = jids.filter((jid) => typeof jid === "string" && jid !== "").map((jid) => jidNormalizedUser(jid!));
  const others = known.flatMap((jid) => {
    const phone = names.phoneOf(jid);
    return [names.lidOf(jid), phone && `${phone}@s.whatsapp.net`];
  });
  return [...new Set([...known, ...others].filter((jid) => jid !== null && jid !== ""))] as string[];
}
