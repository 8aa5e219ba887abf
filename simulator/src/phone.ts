// What the owner of a phone does: link companions and log them out.
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import { announceDevices } from "./device-list.ts";
import { node } from "./nodes.ts";
import { ConflictError, type World } from "./world.ts";

const DEVICE_REMOVED = 401;

/** Scans a QR code as clients print it: a link, or just the comma-separated fields. */
export async function scan(world: World, account: Account, qr: string): Promise<Companion> {
  const fields = qr.slice(qr.indexOf("#") + 1).split(",");
  const [reference, noiseKey, identityKey, secret] = fields;
  if (!reference || !noiseKey || !identityKey || !secret) throw new RangeError("not a WhatsApp QR code");
  for (const { registration } of world.connections) {
    if (!registration?.references.includes(reference)) continue;
    if (registration.keys.identityKey.toString("base64") !== identityKey) {
      throw new RangeError("the QR code names another identity than the client");
    }
    return registration.pair(account, Buffer.from(secret, "base64"));
  }
  throw new ConflictError("no client waits for this QR code any more");
}

/** Types a pairing code that a client showed for this account's number. */
export async function enterPairingCode(world: World, account: Account, code: string): Promise<Companion> {
  const waiting = [...world.connections]
    .map(({ registration }) => registration?.linkCode)
    .filter((linkCode) => linkCode !== undefined && world.findNumber(linkCode.number) === account);
  const linkCode = waiting.at(-1);
  if (!linkCode) throw new ConflictError(`no client asked for a code for ${account.number}`);
  return linkCode.enter(account, code);
}

/** Logs companions out, all of them or one: they get 401 and are unknown from then on. */
export function logOut(world: World, account: Account, device?: number): number[] {
  const leaving = [...account.companions.values()].filter((one) => device === undefined || one.device === device);
  for (const companion of leaving) {
    removeCompanion(companion);
    companion.connection?.streamError(DEVICE_REMOVED, node("conflict", { type: "device_removed" }));
  }
  world.onChange();
  return leaving.map((companion) => companion.device);
}

/** Takes a companion out of its account. */
export function removeCompanion(companion: Companion): void {
  companion.account.companions.delete(companion.device);
  announceDevices(companion.account, "remove", companion);
}
