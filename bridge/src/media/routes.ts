/**
 * The HTTP side of media, on the bridge's loopback server: media itself never travels in frames,
 * it goes through files of the directory that bridge and runtime share.
 *
 * POST /connections/<id>/media/download {file, kind, media, key, maxBytes}
 *   → {size, sha256, directPath}
 * POST /connections/<id>/media/upload {file, kind, mimetype, ptt, seconds} → {upload}
 *
 * Failures are 422 with {code, message, retryable}. A caller that hangs up ends its download.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Agent } from "node:https";
import { join } from "node:path";

import type { WAMessageKey } from "baileys";

import { errorMessage, log } from "../log.ts";
import { ProtocolError, RequestError } from "../protocol.ts";
import type { Socket } from "../session/socket.ts";
import { Expired, MEDIA_KINDS, download } from "./download.ts";
import type { Downloaded, MediaKind, MediaSource } from "./download.ts";
import { checkName, openForReading, writeWhole } from "./files.ts";
import { askForReupload, checkDirectPath, mediaHost } from "./phone.ts";
import { upload } from "./upload.ts";
import type { NewMedia } from "./upload.ts";

const MAX_BODY_BYTES = 64 * 1024;
const MIME = /^[\x20-\x7e]{1,255}$/;

type Fields = Readonly<Record<string, unknown>>;

export class MediaRoutes {
  readonly #directory: string;
  readonly #socketOf: (connectionId: string) => Socket | null;
  readonly #agentOf: (connectionId: string) => Agent | undefined;

  constructor(
    directory: string,
    socketOf: (connectionId: string) => Socket | null,
    agentOf: (connectionId: string) => Agent | undefined,
  ) {
    this.#directory = directory;
    this.#socketOf = socketOf;
    this.#agentOf = agentOf;
  }

  async answer(
    connectionId: string,
    action: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const hungUp = new AbortController();
    response.on("close", () => hungUp.abort());
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    try {
      const fields = await readBody(request);
      reply(
        200,
        action === "download"
          ? await this.#download(connectionId, fields, hungUp.signal)
          : await this.#upload(connectionId, fields),
      );
    } catch (error) {
      if (error instanceof ProtocolError) return reply(400, { message: error.message });
      const known =
        error instanceof RequestError ? error : new RequestError("internal", errorMessage(error), true);
      const { code, message, retryable } = known;
      log("warn", "media_failed", { connection: connectionId, action, code, message });
      reply(422, { code, message, retryable });
    }
  }

  async #download(
    connectionId: string,
    fields: Fields,
    hungUp: AbortSignal,
  ): Promise<Downloaded & { directPath: string }> {
    const name = checkName(fields["file"]);
    const key = keyOf(record(fields["key"]));
    const maxBytes = integer(fields["maxBytes"]) ?? 0;
    const source = sourceOf(kindOf(fields), record(fields["media"]));
    const socket = (): Socket | null => this.#socketOf(connectionId);
    const attempt = async (from: MediaSource): Promise<Downloaded & { directPath: string }> => {
      const host = await mediaHost(socket());
      const done = await writeWhole(this.#directory, name, (file) =>
        download(host, this.#agentOf(connectionId), from, maxBytes, file, hungUp),
      );
      return { ...done, directPath: from.directPath };
    };
    let expired: Expired;
    try {
      return await attempt(source);
    } catch (error) {
      if (!(error instanceof Expired)) throw error;
      expired = error;
    }
    const directPath = await renewed(socket(), key, source, expired);
    try {
      return await attempt({ ...source, directPath });
    } catch (error) {
      if (!(error instanceof Expired)) throw error;
      throw new RequestError("media_host", "what the phone uploaded is not there", true);
    }
  }

  async #upload(connectionId: string, fields: Fields): Promise<{ upload: string }> {
    const name = checkName(fields["file"]);
    const { mimetype, ptt } = fields;
    if (typeof mimetype !== "string" || !MIME.test(mimetype)) {
      throw new ProtocolError("mimetype is missing or malformed");
    }
    const media: NewMedia = {
      kind: kindOf(fields),
      mimetype,
      ptt: ptt === true,
      seconds: integer(fields["seconds"]),
    };
    const file = await openForReading(this.#directory, name);
    try {
      const socket = this.#socketOf(connectionId);
      const path = join(this.#directory, name);
      return { upload: await upload(connectionId, socket, file, path, media) };
    } finally {
      await file.close();
    }
  }
}

/** The new path. That the phone has nothing any more is the end only if the host has nothing either. */
async function renewed(
  sock: Socket | null,
  key: WAMessageKey,
  source: MediaSource,
  expired: Expired,
): Promise<string> {
  try {
    return await askForReupload(sock, key, source);
  } catch (error) {
    const isGone = error instanceof RequestError && error.code === "media_gone";
    if (isGone && !expired.certain) throw new RequestError("media_host", expired.message, true);
    throw error;
  }
}

async function readBody(request: IncomingMessage): Promise<Fields> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new ProtocolError("body too large");
    chunks.push(chunk);
  }
  try {
    return record(JSON.parse(Buffer.concat(chunks).toString()));
  } catch {
    throw new ProtocolError("the body is no JSON object");
  }
}

function record(value: unknown): Fields {
  if (typeof value !== "object" || value === null) throw new ProtocolError("an object is missing");
  return value as Fields;
}

function integer(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function kindOf(fields: Fields): MediaKind {
  const kind = MEDIA_KINDS.find((one) => one === fields["kind"]);
  if (kind === undefined) throw new ProtocolError("unknown kind of media");
  return kind;
}

function keyOf({ id, remoteJid, fromMe, participant }: Fields): WAMessageKey {
  if (typeof id !== "string" || typeof remoteJid !== "string") {
    throw new ProtocolError("the message's key is missing");
  }
  const more = typeof participant === "string" ? { participant } : {};
  return { id, remoteJid, fromMe: fromMe === true, ...more };
}

/** What the message says of its media comes from its sender and may be nonsense. */
function sourceOf(kind: MediaKind, media: Fields): MediaSource {
  const mediaKey = bytes(media["mediaKey"], 32);
  if (mediaKey === null) {
    throw new RequestError("media_unusable", "the message has no media key", false);
  }
  return {
    kind,
    mediaKey,
    directPath: checkDirectPath(media["directPath"]),
    fileSha256: bytes(media["fileSha256"], 32),
    fileLength: integer(media["fileLength"]),
  };
}

function bytes(value: unknown, length: number): Buffer | null {
  const decoded = typeof value === "string" ? Buffer.from(value, "base64") : null;
  return decoded?.length === length ? decoded : null;
}
