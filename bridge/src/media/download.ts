/**
 * Downloads and decrypts media. Baileys' own stream checks neither MAC nor hash, and a connection
 * that breaks off is an error event without a listener there, which would end the process.
 */

import { createDecipheriv, createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request } from "node:https";
import type { Agent } from "node:https";

import { DEFAULT_ORIGIN, getMediaKeys } from "baileys";

import { errorMessage } from "../log.ts";
import { RequestError } from "../protocol.ts";
import { ProgressDeadline } from "../session/deadline.ts";

const IDLE_MS = 30_000;
const TOTAL_MS = 30 * 60_000;
const MAC_BYTES = 10;
/** Padding and MAC: what a ciphertext may be longer than its plain bytes. */
const OVERHEAD_BYTES = 16 + MAC_BYTES;
/** Statuses of media that its phone has to upload again. */
const EXPIRED = new Set([403, 404, 410]);

export const MEDIA_KINDS = ["image", "video", "audio", "document", "sticker"] as const;
export type MediaKind = (typeof MEDIA_KINDS)[number];

/** Where media is and what it has to be, as its message says. */
export interface MediaSource {
  readonly kind: MediaKind;
  readonly mediaKey: Buffer;
  readonly directPath: string;
  readonly fileSha256: Buffer | null;
  readonly fileLength: number | null;
}

export interface Downloaded {
  readonly size: number;
  /** Hexadecimal, of the plain bytes. */
  readonly sha256: string;
}

/**
 * The host no longer has it. `certain`: the host itself says so; else a page for people does, which
 * something on the way may have written.
 */
export class Expired extends Error {
  readonly certain: boolean;

  constructor(message: string, certain: boolean) {
    super(message);
    this.certain = certain;
  }
}

/** Writes the plain bytes to `file`; raises Expired or RequestError. `agent`: a proxy's, if any. */
export async function download(
  host: string,
  agent: Agent | undefined,
  source: MediaSource,
  maxBytes: number,
  file: FileHandle,
  cancelled: AbortSignal,
): Promise<Downloaded> {
  const late = new AbortController();
  const deadline = new ProgressDeadline(IDLE_MS, TOTAL_MS, () => late.abort());
  try {
    const signal = AbortSignal.any([cancelled, late.signal]);
    const response = await get(`https://${host}${source.directPath}`, agent, signal);
    checkAnswer(response, maxBytes);
    const plain = await Decryption.start(source);
    let isFirst = true;
    for await (const chunk of response) {
      deadline.touch();
      if (isFirst && looksLikePage(chunk as Buffer)) throw notTheHost();
      isFirst = false;
      await writeAll(file, plain.update(chunk as Buffer, maxBytes));
    }
    await writeAll(file, plain.final());
    return plain.verified();
  } catch (error) {
    if (error instanceof Expired || error instanceof RequestError) throw error;
    if (isFileError(error)) throw new RequestError("storage", errorMessage(error), true);
    const code = late.signal.aborted ? "media_timeout" : "media_interrupted";
    throw new RequestError(code, errorMessage(error), true);
  } finally {
    deadline.stop();
  }
}

/** The answer's head; redirects are not followed. */
function get(url: string, agent: Agent | undefined, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { ...(agent === undefined ? {} : { agent }), headers: { origin: DEFAULT_ORIGIN }, signal };
    request(url, options).once("response", resolve).on("error", reject).end();
  });
}

function checkAnswer(response: IncomingMessage, maxBytes: number): void {
  const { statusCode: status = 0, headers } = response;
  if (status !== 200) {
    response.destroy();
    if (EXPIRED.has(status)) throw new Expired(`the media host answered ${status}`, !isPage(headers));
    throw new RequestError("media_host", `the media host answered ${status}`, true);
  }
  if (isPage(headers)) {
    response.destroy();
    throw notTheHost();
  }
  if (Number(headers["content-length"] ?? 0) > maxBytes + OVERHEAD_BYTES) {
    response.destroy();
    throw tooLarge(maxBytes);
  }
}

function isPage(headers: IncomingHttpHeaders): boolean {
  return /html/i.test(headers["content-type"] ?? "");
}

/** A page that a proxy shows in place of the file: what is encrypted does not begin like this. */
function looksLikePage(bytes: Buffer): boolean {
  return /^\s*<(!doctype\s+html|html|head|body)\b/i.test(bytes.subarray(0, 256).toString("latin1"));
}

function notTheHost(): RequestError {
  return new RequestError("media_host", "something else answers in place of the media host", true);
}

function tooLarge(maxBytes: number): RequestError {
  return new RequestError("media_too_large", `the media is larger than ${maxBytes} bytes`, false);
}

function isFileError(error: unknown): boolean {
  return ["ENOSPC", "EIO", "EDQUOT", "EROFS"].includes((error as NodeJS.ErrnoException).code ?? "");
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at)).bytesWritten;
  }
}

/** AES-256-CBC with an HMAC at the end; nothing counts before `verified`. */
class Decryption {
  readonly #source: MediaSource;
  readonly #decipher;
  readonly #hmac;
  readonly #hash = createHash("sha256");
  #tail: Buffer = Buffer.alloc(0);
  #size = 0;
  #digest = Buffer.alloc(0);

  private constructor(source: MediaSource, keys: Awaited<ReturnType<typeof getMediaKeys>>) {
    this.#source = source;
    this.#decipher = createDecipheriv("aes-256-cbc", keys.cipherKey, keys.iv);
    this.#hmac = createHmac("sha256", keys.macKey!).update(keys.iv);
  }

  static async start(source: MediaSource): Promise<Decryption> {
    return new Decryption(source, await getMediaKeys(source.mediaKey, source.kind));
  }

  update(chunk: Buffer, maxBytes: number): Buffer {
    const data = Buffer.concat([this.#tail, chunk]);
    const end = Math.max(0, data.length - MAC_BYTES);
    this.#tail = Buffer.from(data.subarray(end));
    this.#hmac.update(data.subarray(0, end));
    const plain = this.#decipher.update(data.subarray(0, end));
    if (this.#size + plain.length > maxBytes) throw tooLarge(maxBytes);
    return this.#count(plain);
  }

  final(): Buffer {
    const mac = this.#hmac.digest().subarray(0, MAC_BYTES);
    if (this.#tail.length < MAC_BYTES || !timingSafeEqual(mac, this.#tail)) {
      throw corrupt("its authentication code is wrong");
    }
    try {
      return this.#count(this.#decipher.final());
    } catch {
      throw corrupt("its padding is wrong");
    }
  }

  verified(): Downloaded {
    const { fileLength, fileSha256 } = this.#source;
    this.#digest = this.#hash.digest();
    if (fileSha256 !== null && !this.#digest.equals(fileSha256)) throw corrupt("its hash is wrong");
    // With the right hash it is the right file, whatever length a client wrote.
    if (fileSha256 === null && fileLength !== null && fileLength !== this.#size) {
      throw corrupt("its size is wrong");
    }
    return { size: this.#size, sha256: this.#digest.toString("hex") };
  }

  #count(plain: Buffer): Buffer {
    this.#size += plain.length;
    this.#hash.update(plain);
    return plain;
  }
}

function corrupt(what: string): RequestError {
  return new RequestError("media_corrupt", `the media is not what its message names: ${what}`, true);
}
