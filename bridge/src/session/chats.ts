/** Kinds of chats, by their address. */

import {
  isHostedLidUser,
  isHostedPnUser,
  isJidBroadcast,
  isJidStatusBroadcast,
  isLidUser,
  isPnUser,
} from "baileys";

type Jid = string | null | undefined;

/** A chat of two. */
export function isDirect(jid: Jid): boolean {
  const one = jid ?? undefined;
  return Boolean(isPnUser(one) || isLidUser(one) || isHostedPnUser(one) || isHostedLidUser(one));
}

/** A list of the sender's own making, through which a customer writes to us as to many; not the status. */
export function isBroadcastList(jid: Jid): boolean {
  return Boolean(isJidBroadcast(jid ?? "")) && !isJidStatusBroadcast(jid ?? "");
}

/** A company whose number is hosted by Meta is the same person under its usual address. */
export function usual(jid: string): string {
  return jid.replace(/@hosted$/, "@s.whatsapp.net").replace(/@hosted\.lid$/, "@lid");
}
