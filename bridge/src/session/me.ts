/** Who a connection is, from its credentials. */

import { jidDecode } from "baileys";
import type { AuthenticationCreds } from "baileys";

import type { Me } from "../protocol.ts";

export function meOf(creds: AuthenticationCreds): Me | null {
  const { me } = creds;
  if (!me) return null;
  return {
    id: me.id,
    lid: me.lid ?? null,
    name: me.name ?? null,
    phone: jidDecode(me.id)?.user ?? null,
  };
}

/** Paired: WhatsApp signed the device; before that `me` may be a pairing code's mere intention. */
export function isRegistered(creds: AuthenticationCreds): boolean {
  return Boolean(creds.me && creds.account);
}
