/** Encrypts a file and uploads it to WhatsApp, by Baileys; sends need only what comes back. */

import type { FileHandle } from "node:fs/promises";

import { getAudioDuration, prepareWAMessageMedia, proto } from "baileys";
import type { AnyMediaMessageContent } from "baileys";

import { baileysLogger, errorMessage } from "../log.ts";
import { RequestError } from "../protocol.ts";
import { DeadlineExceeded, within } from "../session/deadline.ts";
import type { Socket } from "../session/socket.ts";
import type { MediaKind } from "./download.ts";

const DURATION_DEADLINE_MS = 5_000;
const IDLE_MS = 30_000;
const TOTAL_MS = 15 * 60_000;

export interface NewMedia {
  readonly kind: MediaKind;
  readonly mimetype: string;
  readonly ptt: boolean;
  readonly seconds: number | null;
}

/** The media part of a message, encoded: keys, hashes and where it is now. */
export async function upload(
  connectionId: string,
  sock: Socket | null,
  file: FileHandle,
  path: string,
  media: NewMedia,
): Promise<string> {
  if (sock === null) throw new RequestError("not_connected", "WhatsApp is not connected", true);
  const seconds = media.kind === "audio" ? (media.seconds ?? (await duration(path))) : undefined;
  const content = {
    [media.kind]: { stream: file.createReadStream({ autoClose: false }) },
    mimetype: media.mimetype,
    ...(media.kind === "audio" ? { ptt: media.ptt, seconds, waveform: null } : {}),
    // Given, so that Baileys does not look for an imaging library and copy the file for it.
    jpegThumbnail: null,
  } as unknown as AnyMediaMessageContent;
  try {
    const prepared = prepareWAMessageMedia(content, {
      upload: sock.waUploadToServer,
      logger: baileysLogger(connectionId),
      mediaUploadTimeoutMs: IDLE_MS,
    });
    const message = await within(TOTAL_MS, prepared, "upload");
    return Buffer.from(proto.Message.encode(message).finish()).toString("base64");
  } catch (error) {
    const code = error instanceof DeadlineExceeded ? "media_timeout" : "upload_failed";
    throw new RequestError(code, errorMessage(error), true);
  }
}

/** Whole seconds; 0 for what no parser understands. */
async function duration(path: string): Promise<number> {
  try {
    const seconds = await within(DURATION_DEADLINE_MS, getAudioDuration(path), "duration");
    return Math.max(0, Math.round(seconds ?? 0));
  } catch {
    return 0;
  }
}
