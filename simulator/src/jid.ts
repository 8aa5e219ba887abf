// Addresses: phone numbers, LIDs and devices.
import { createHash } from "node:crypto";
import { jidDecode, jidEncode } from "baileys";

/** A device of a user as an address names it. `user` is a phone number or a LID user. */
export type Address = { readonly user: string; readonly device: number; readonly server: string };

export function parseJid(jid: string | undefined): Address | undefined {
  const decoded = jid === undefined ? undefined : jidDecode(jid);
  if (!decoded) return undefined;
  return { user: decoded.user, device: decoded.device ?? 0, server: decoded.server };
}

export function pnJid(number: string, device = 0): string {
  return jidEncode(number, "s.whatsapp.net", device);
}

export function lidJid(lid: string, device = 0): string {
  return jidEncode(lid, "lid", device);
}

export function isGroupJid(jid: string | undefined): boolean {
  return jid?.endsWith("@g.us") ?? false;
}

/** Reads a phone number with country code, spelled with or without `+`, spaces and dashes. */
export function parseNumber(text: string): string {
  const digits = text.replace(/[\s()+.-]/g, "");
  if (!/^[1-9]\d{7,14}$/.test(digits)) throw new RangeError(`not a phone number: ${JSON.stringify(text)}`);
  return digits;
}

/** The LID user that belongs to a number when none was given: stable, unlike the number. */
export function defaultLid(number: string): string {
  const digest = createHash("sha256").update(`lid:${number}`).digest();
  return `2${(digest.readBigUInt64BE(0) % 10n ** 14n).toString().padStart(14, "0")}`;
}

const SPELLINGS = [
  { pattern: /^(55\d\d)(9?)([6-9]\d{7})$/, digit: "9" },
  { pattern: /^(52)(1?)([2-9]\d{9})$/, digit: "1" },
  { pattern: /^(54)(9?)([1-3]\d{9})$/, digit: "9" },
];

/**
 * The other spelling of a number: a Brazilian mobile with or without its ninth digit, a Mexican one
 * with or without the former 1, an Argentine one with or without the 9 for calls from abroad;
 * undefined for every other number.
 */
export function otherSpelling(number: string): string | undefined {
  for (const { pattern, digit } of SPELLINGS) {
    const match = pattern.exec(number);
    if (match) return `${match[1]}${match[2] ? "" : digit}${match[3]}`;
  }
  return undefined;
}
