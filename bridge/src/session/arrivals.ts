/** What arrives besides messages, read from the stanza so that it can be kept before it is acked. */

import {
  areJidsSameUser,
  getAllBinaryNodeChildren,
  getBinaryNodeChild,
  getBinaryNodeChildren,
  getCallStatusFromNode,
  isJidGroup,
  isLidUser,
  jidNormalizedUser,
} from "baileys";
import type { BinaryNode } from "baileys";

import type { Me } from "../protocol.ts";
import type { Directory, MessageData } from "./rebuild.ts";

export type DeliveryStatus = "server_ack" | "delivered" | "read" | "played" | "error";

/** `data` of a `status` event. */
export interface StatusData {
  readonly id: string;
  readonly remoteJid: string;
  readonly participant: string | null;
  readonly status: DeliveryStatus;
  readonly error: string | null;
  readonly timestamp: number;
}

/** `data` of a `read` event: the account's owner has read these on the phone. */
export interface ReadData {
  readonly chat: string;
  readonly phone: string | null;
  readonly lid: string | null;
  readonly ids: readonly string[];
}

/** `data` of a `contact` event about a profile picture; `jid` may be a group's. */
export interface PictureData {
  readonly jid: string;
  readonly phone: string | null;
  readonly lid: string | null;
  readonly name: null;
  readonly picture: "changed" | "removed";
}

/** `data` of a `call` event. */
export interface CallData {
  readonly id: string;
  readonly from: string;
  readonly phone: string | null;
  readonly lid: string | null;
  readonly status: string;
  readonly isVideo: boolean;
  readonly timestamp: number;
}

/** The receipt types that say something about a message of ours; the others are between devices. */
const RECEIPT_STATUS: Readonly<Record<string, DeliveryStatus>> = {
  "": "delivered",
  inactive: "delivered",
  read: "read",
  played: "played",
};

export function isOwn(jid: string | undefined, me: Me): boolean {
  return areJidsSameUser(jid, isLidUser(jid) ? (me.lid ?? "") : me.id);
}

function timestampOf(node: BinaryNode): number {
  const seconds = Number(node.attrs["t"] ?? 0);
  return seconds > 0 ? Math.floor(seconds) : Math.floor(Date.now() / 1000);
}

export function statusesOfReceipt(node: BinaryNode, me: Me): StatusData[] {
  const { from, id, participant, recipient, type } = node.attrs;
  const status = RECEIPT_STATUS[type ?? ""];
  if (status === undefined || !from || !id || recipient) return [];
  if (isOwn(participant ?? from, me)) return [];
  return idsOfReceipt(node, id).map((messageId) => ({
    id: messageId,
    remoteJid: jidNormalizedUser(from),
    participant: participant ? jidNormalizedUser(participant) : null,
    status,
    error: null,
    timestamp: timestampOf(node),
  }));
}

function idsOfReceipt(node: BinaryNode, first: string): string[] {
  const list = Array.isArray(node.content) ? node.content[0] : undefined;
  return [first, ...getBinaryNodeChildren(list, "item").flatMap((item) => item.attrs["id"] ?? [])];
}

/** What the phone has read in a chat of two; in groups a receipt does not say whose message it is. */
export function readOfReceipt(node: BinaryNode, me: Me, names: Directory): ReadData | null {
  const { from, id, recipient, type } = node.attrs;
  if (!from || !id || !recipient || !(type === "read" || type === "read-self")) return null;
  if (!isOwn(from, me)) return null;
  return {
    chat: jidNormalizedUser(recipient),
    phone: names.phoneOf(recipient),
    lid: names.lidOf(recipient),
    ids: idsOfReceipt(node, id),
  };
}

/** A person's or group's picture that was changed or removed, or null for any other notification. */
export function pictureOf(node: BinaryNode, names: Directory): PictureData | null {
  const { from, type } = node.attrs;
  if (type !== "picture" || !from) return null;
  const changed = getBinaryNodeChild(node, "set") !== undefined;
  if (!changed && getBinaryNodeChild(node, "delete") === undefined) return null;
  return {
    jid: jidNormalizedUser(from),
    phone: names.phoneOf(from),
    lid: isJidGroup(from) ? null : names.lidOf(from),
    name: null,
    picture: changed ? "changed" : "removed",
  };
}

export function statusOfAck(node: BinaryNode): StatusData | null {
  const { from, id, participant, error } = node.attrs;
  if (!from || !id) return null;
  return {
    id,
    remoteJid: jidNormalizedUser(from),
    participant: participant ? jidNormalizedUser(participant) : null,
    status: error ? "error" : "server_ack",
    error: error ?? null,
    timestamp: timestampOf(node),
  };
}

const CALL_STATUSES = new Set(["offer", "ringing", "accept", "reject", "timeout", "terminate"]);

export function callOfStanza(node: BinaryNode, names: Directory): CallData | null {
  const [info] = getAllBinaryNodeChildren(node);
  const id = info?.attrs["call-id"];
  const from = info?.attrs["from"] ?? info?.attrs["call-creator"];
  if (info === undefined || id === undefined || from === undefined) return null;
  const status = getCallStatusFromNode(info);
  if (!CALL_STATUSES.has(status)) return null;
  return {
    id,
    from: jidNormalizedUser(from),
    phone: names.phoneOf(info.attrs["caller_pn"]) ?? names.phoneOf(from),
    lid: names.lidOf(from),
    status,
    isVideo: getBinaryNodeChild(info, "video") !== undefined,
    timestamp: timestampOf(node),
  };
}

/** Names of WAMessageStubType by the child of a group notification. */
const GROUP_STUBS: Readonly<Record<string, string>> = {
  create: "GROUP_CREATE",
  modify: "GROUP_PARTICIPANT_CHANGE_NUMBER",
  promote: "GROUP_PARTICIPANT_PROMOTE",
  demote: "GROUP_PARTICIPANT_DEMOTE",
  remove: "GROUP_PARTICIPANT_REMOVE",
  add: "GROUP_PARTICIPANT_ADD",
  leave: "GROUP_PARTICIPANT_LEAVE",
  subject: "GROUP_CHANGE_SUBJECT",
  description: "GROUP_CHANGE_DESCRIPTION",
  announcement: "GROUP_CHANGE_ANNOUNCE",
  not_announcement: "GROUP_CHANGE_ANNOUNCE",
  locked: "GROUP_CHANGE_RESTRICT",
  unlocked: "GROUP_CHANGE_RESTRICT",
  invite: "GROUP_CHANGE_INVITE_LINK",
  member_add_mode: "GROUP_MEMBER_ADD_MODE",
  membership_approval_mode: "GROUP_MEMBERSHIP_JOIN_APPROVAL_MODE",
  created_membership_requests: "GROUP_MEMBERSHIP_JOIN_APPROVAL_REQUEST_NON_ADMIN_ADD",
  revoked_membership_requests: "GROUP_MEMBERSHIP_JOIN_APPROVAL_REQUEST_NON_ADMIN_ADD",
};

/** A change of a group as a message without content, or null for any other notification. */
export function groupStub(node: BinaryNode, me: Me): MessageData | null {
  const { from, id, participant, participant_pn, type, notify, offline } = node.attrs;
  const [child] = getAllBinaryNodeChildren(node);
  const stub = GROUP_STUBS[child?.tag ?? ""];
  if (type !== "w:gp2" || stub === undefined || !from || !id) return null;
  return {
    key: {
      remoteJid: jidNormalizedUser(from),
      fromMe: isOwn(participant, me),
      id,
      ...(participant ? { participant: jidNormalizedUser(participant) } : {}),
      ...(participant_pn ? { participantAlt: jidNormalizedUser(participant_pn) } : {}),
    },
    phone: null,
    lid: null,
    pushName: notify ?? null,
    timestamp: timestampOf(node),
    offline: offline !== undefined,
    stub,
    message: null,
  };
}
