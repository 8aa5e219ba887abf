/** What media needs of an open connection: hosts, and a phone that uploads again what expired. */

import type { WAMessage, WAMessageKey } from "baileys";

import { errorMessage } from "../log.ts";
import { RequestError } from "../protocol.ts";
import { DeadlineExceeded, within } from "../session/deadline.ts";
import type { Socket } from "../session/socket.ts";
import type { MediaSource } from "./download.ts";

const HOST_DEADLINE_MS = 20_000;
const REUPLOAD_DEADLINE_MS = 30_000;
const WHATSAPP_HOST = "mmg.whatsapp.net";

/** A sender chooses the address in its message, so only the path of it is used, never the host. */
export async function mediaHost(sock: Socket | null): Promise<string> {
  if (sock === null) return WHATSAPP_HOST;
  try {
    const { hosts } = await within(HOST_DEADLINE_MS, sock.refreshMediaConn(false), "media_conn");
    return hosts[0]?.hostname ?? WHATSAPP_HOST;
  } catch (error) {
    throw new RequestError("media_host", errorMessage(error), true);
  }
}

/** What Baileys makes of a phone's answer that it does not have the media. */
const NOT_FOUND = 404;

/** Asks the account's phone to upload expired media again; the new direct path. */
export async function askForReupload(
  sock: Socket | null,
  key: WAMessageKey,
  source: MediaSource,
): Promise<string> {
  if (sock === null) {
    throw new RequestError("not_connected", "expired media needs an open connection", true);
  }
  const media = { mediaKey: source.mediaKey, directPath: source.directPath };
  const message = { key, message: { [`${source.kind}Message`]: media } } as WAMessage;
  let renewed: WAMessage;
  try {
    renewed = await within(REUPLOAD_DEADLINE_MS, sock.updateMediaMessage(message), "re-upload");
  } catch (error) {
    // No answer: the phone may be off. Of the answers only one says that it has none any more.
    if (error instanceof DeadlineExceeded) {
      throw new RequestError("reupload_timeout", error.message, true);
    }
    const { statusCode } = (error as { output?: { statusCode?: number } }).output ?? {};
    if (statusCode === NOT_FOUND) throw new RequestError("media_gone", errorMessage(error), false);
    throw new RequestError("reupload_failed", errorMessage(error), true);
  }
  const [part] = Object.values(renewed.message ?? {}) as { directPath?: string }[];
  if (!part?.directPath) throw new RequestError("reupload_failed", "the phone's answer names no media", true);
  return checkDirectPath(part.directPath);
}

/** A path on the media host: it cannot change the host that it is appended to. */
export function checkDirectPath(value: unknown): string {
  if (typeof value === "string" && /^\/[\x21-\x7e]{1,2047}$/.test(value)) return value;
  throw new RequestError("media_unusable", "the message names no media", false);
}
