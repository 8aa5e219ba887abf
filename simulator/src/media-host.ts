// The media host: takes uploads and serves them by their direct path, over HTTPS as clients insist.
import { createPrivateKey, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Faults } from "./faults.ts";
import { MEDIA_CERTIFICATE } from "./media-certificate.ts";
import { sha256 } from "./media-crypto.ts";

/** An Ed25519 key for loopback, public on purpose: see `media-certificate.ts`. */
export const PRIVATE_KEY = createPrivateKey({
  key: Buffer.from(
    "302e020100300506032b657004220420" + "5f0d2c7be1a94368b7c2d1f0e3a5964817b0c4d2e6f8a39b5c7d1e0f2a4b6c83",
    "hex",
  ),
  format: "der",
  type: "pkcs8",
}).export({ format: "pem", type: "pkcs8" });

const MAX_UPLOAD_BYTES = 256 * 1024 * 1024;
const GONE = 410;
/** A slow download comes in this many pieces, one at a time. */
const SLOW_PIECES = 20;

export type Blob = {
  readonly bytes: Buffer;
  /** HTTP status of a download that comes too late; undefined while it is there. */
  expired: number | undefined;
  downloads: number;
};

export class MediaHost {
  readonly blobs = new Map<string, Blob>();
  readonly #faults: Faults;
  readonly #server: Server;
  #uploads = 0;
  /** Media that phones uploaded again because they were asked to. */
  reuploads = 0;

  constructor(faults: Faults) {
    this.#faults = faults;
    this.#server = createServer({ key: PRIVATE_KEY, cert: MEDIA_CERTIFICATE }, (request, response) => {
      // A client that hangs up is no concern of the host's.
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** Uploads taken so far. */
  get uploads(): number {
    return this.#uploads;
  }

  /** `127.0.0.1:port`, as `media_conn` names it. */
  get authority(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", resolve);
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Keeps a ciphertext; returns its direct path. */
  put(bytes: Buffer): string {
    const path = `/v/t62.${randomBytes(4).readUInt32BE()}-24/${randomBytes(12).toString("hex")}.enc`;
    this.blobs.set(path, { bytes, expired: undefined, downloads: 0 });
    return `${path}?ccb=11-4&oh=${randomBytes(6).toString("hex")}`;
  }

  find(directPath: string): Blob | undefined {
    return this.blobs.get(directPath.split("?")[0]!);
  }

  /** From now on a download is told that the media is gone. */
  expire(directPath: string, status = GONE): void {
    const blob = this.find(directPath);
    if (blob) blob.expired = status;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "https://localhost");
    if (request.method === "POST" && url.pathname.startsWith("/mms/")) await this.#take(request, response, url);
    else if (request.method === "GET") await this.#serve(response, url.pathname);
    else response.writeHead(405).end();
  }

  /** Uploads are addressed by the hash of what they hold, which is checked. */
  async #take(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const refusal = this.#faults.strike("refuse-upload");
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_UPLOAD_BYTES) return void response.writeHead(413, { connection: "close" }).end();
      chunks.push(chunk);
    }
    if (refusal) return void response.writeHead(refusal.code ?? 503).end();
    const bytes = Buffer.concat(chunks);
    const named = decodeURIComponent(url.pathname.split("/").at(-1)!);
    if (sha256(bytes).toString("base64url") !== named) return void response.writeHead(400).end();
    this.#uploads += 1;
    const directPath = this.put(bytes);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ url: `https://${this.authority}${directPath}`, direct_path: directPath }));
  }

  async #serve(response: ServerResponse, path: string): Promise<void> {
    const blob = this.blobs.get(path);
    const page = this.#faults.strike("media-page");
    if (page) {
      response.writeHead(page.code ?? 200, { "content-type": "text/html; charset=utf-8" });
      return void response.end("<!DOCTYPE html><html><body>Acesso bloqueado</body></html>");
    }
    const status = this.#faults.strike("media-status")?.code ?? (blob ? blob.expired : 404);
    if (!blob || status !== undefined) return void response.writeHead(status ?? 404).end();
    blob.downloads += 1;
    const bytes = this.#faults.strike("media-corrupt") ? corrupted(blob.bytes) : blob.bytes;
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes.length });
    const slow = this.#faults.strike("media-slow");
    if (this.#faults.strike("media-truncate")) {
      response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => response.destroy());
    } else if (slow) {
      await trickle(response, bytes, slow.ms ?? 1000);
    } else {
      response.end(bytes);
    }
  }
}

function corrupted(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[Math.floor(copy.length / 3)]! ^= 0xff;
  return copy;
}

async function trickle(response: ServerResponse, bytes: Buffer, ms: number): Promise<void> {
  const piece = Math.max(1, Math.ceil(bytes.length / SLOW_PIECES));
  for (let at = 0; at < bytes.length && !response.destroyed; at += piece) {
    response.write(bytes.subarray(at, at + piece));
    await sleep(ms, undefined, { ref: false });
  }
  response.end();
}
