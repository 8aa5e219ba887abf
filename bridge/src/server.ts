/** The loopback HTTP and WebSocket server. */

import { createHash, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Agent } from "node:https";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Duplex } from "node:stream";

import type { WAVersion } from "baileys";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

import { bug } from "./fatal.ts";
import { errorMessage, log } from "./log.ts";
import { MediaRoutes } from "./media/routes.ts";
import {
  CLOSE_PROTOCOL,
  CLOSE_REPLACED,
  CLOSE_STORAGE,
  MAX_FRAME_BYTES,
  ProtocolError,
  encodeFrame,
  isConnectionId,
} from "./protocol.ts";
import { Session } from "./session/session.ts";
import type { Socket } from "./session/socket.ts";
import { TtlCache } from "./session/ttl-cache.ts";

const HOST = "127.0.0.1";
const RETRY_TTL_MS = 60 * 60 * 1000;
const MAX_RETRY_COUNTERS = 10_000;
const MAX_RETRY_CACHES = 1000;

export interface ServerOptions {
  readonly token: string;
  readonly directory: string;
  /** Where media is handed over; without it there is none. */
  readonly mediaDirectory: string | null;
  readonly version: WAVersion | null;
}

interface Attached {
  readonly session: Session;
  readonly ws: WebSocket;
}

export class BridgeServer {
  readonly #options: ServerOptions;
  readonly #http: Server;
  readonly #wss = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES });
  readonly #attached = new Map<string, Attached>();
  /** Retry counters outlive sockets and sessions, else a message could be retried for ever. */
  readonly #retries = new TtlCache(RETRY_TTL_MS, MAX_RETRY_CACHES);
  readonly #media: MediaRoutes | null;
  readonly #startedAt = performance.now();
  readonly #lag = monitorEventLoopDelay({ resolution: 20 });
  #socketsCreated = 0;
  #decryptFailures = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
    const { mediaDirectory } = options;
    const socketOf = (id: string): Socket | null => this.#attached.get(id)?.session.openSocket ?? null;
    const agentOf = (id: string): Agent | undefined => this.#attached.get(id)?.session.mediaAgent;
    this.#media = mediaDirectory === null ? null : new MediaRoutes(mediaDirectory, socketOf, agentOf);
    this.#http = createServer((request, response) => this.#answer(request, response));
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#lag.enable();
  }

  /** Resolves to the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", reject);
      this.#http.listen(0, HOST, resolve);
    });
    return (this.#http.address() as AddressInfo).port;
  }

  /** End every session; sockets are asked to close, not waited for. */
  close(): void {
    for (const { session, ws } of this.#attached.values()) {
      ws.removeAllListeners();
      ws.on("error", () => undefined);
      session.dispose();
      ws.close(1001);
    }
    this.#attached.clear();
    this.#lag.disable();
    this.#http.close();
  }

  // --- HTTP --------------------------------------------------------------------------------

  #isAuthorized(request: IncomingMessage): boolean {
    const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
    const given = digest(request.headers.authorization ?? "");
    return timingSafeEqual(given, digest(`Bearer ${this.#options.token}`));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (!this.#isAuthorized(request)) return reply(401, { status: "unauthorized" });
    const media = /^\/connections\/([^/?]*)\/media\/(download|upload)$/.exec(request.url ?? "");
    if (media !== null && isConnectionId(media[1]!) && this.#media !== null) {
      if (request.method !== "POST") return reply(405, { status: "method not allowed" });
      void this.#media.answer(media[1]!, media[2]!, request, response);
      return;
    }
    if (request.url !== "/health") return reply(404, { status: "not found" });
    if (request.method !== "GET") return reply(405, { status: "method not allowed" });
    reply(200, this.#health());
  }

  #health(): unknown {
    const memory = process.memoryUsage();
    const lagMs = this.#lag.max / 1e6;
    this.#lag.reset();
    return {
      status: "ok",
      uptimeMs: Math.round(performance.now() - this.#startedAt),
      rssBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      // The longest delay since the last question.
      eventLoopLagMs: Math.round(lagMs * 10) / 10,
      socketsCreated: this.#socketsCreated,
      decryptFailures: this.#decryptFailures,
      connections: [...this.#attached.values()].map(({ session }) => session.health()),
    };
  }

  // --- WebSocket ---------------------------------------------------------------------------

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refuse = (status: string): void => {
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    };
    socket.on("error", () => undefined);
    if (!this.#isAuthorized(request)) return refuse("401 Unauthorized");
    const match = /^\/connections\/([^/?]*)$/.exec(request.url ?? "");
    if (match === null) return refuse("404 Not Found");
    const id = match[1]!;
    if (!isConnectionId(id)) return refuse("400 Bad Request");
    this.#wss.handleUpgrade(request, socket, head, (ws) => this.#attach(id, ws, socket));
  }

  #attach(id: string, ws: WebSocket, transport: Duplex): void {
    const older = this.#attached.get(id);
    if (older !== undefined) this.#detach(id, older, CLOSE_REPLACED, "replaced");
    ws.on("error", (error) => {
      log("warn", "runtime_socket_error", { connection: id, error: errorMessage(error) });
    });
    let session: Session;
    try {
      session = new Session({
        id,
        directory: this.#options.directory,
        version: this.#options.version,
        retries: this.#retriesOf(id),
        write: (text) => {
          // What is written in one turn leaves in one piece.
          if (transport.writableCorked === 0) {
            transport.cork();
            process.nextTick(() => transport.uncork());
          }
          ws.send(text);
        },
        onSocketMade: () => {
          this.#socketsCreated += 1;
        },
        onDecryptFailure: () => {
          this.#decryptFailures += 1;
        },
      });
    } catch (error) {
      // Only this connection's file is bad: the others must not suffer for it.
      const message = `storage: ${errorMessage(error)}`;
      log("error", "open_store_failed", { connection: id, error: message });
      ws.send(encodeFrame({ type: "fault", message }));
      ws.close(CLOSE_STORAGE, "storage");
      return;
    }
    const attached: Attached = { session, ws };
    this.#attached.set(id, attached);
    log("info", "runtime_attached", { connection: id });
    ws.on("message", (data, isBinary) => {
      if (this.#attached.get(id) !== attached) return;
      try {
        if (isBinary) throw new ProtocolError("frames must be text");
        session.receive(String(data));
      } catch (error) {
        if (!(error instanceof ProtocolError)) bug(error);
        log("warn", "protocol_error", { connection: id, error: error.message });
        ws.send(encodeFrame({ type: "fault", message: error.message }));
        this.#detach(id, attached, CLOSE_PROTOCOL, "protocol");
      }
    });
    ws.on("close", () => this.#detach(id, attached, 1000, ""));
  }

  #detach(id: string, attached: Attached, code: number, reason: string): void {
    if (this.#attached.get(id) !== attached) return;
    this.#attached.delete(id);
    attached.session.dispose();
    attached.ws.close(code, reason);
    log("info", "runtime_detached", { connection: id, reason });
  }

  #retriesOf(id: string): TtlCache {
    const retries =
      this.#retries.get<TtlCache>(id) ?? new TtlCache(RETRY_TTL_MS, MAX_RETRY_COUNTERS);
    this.#retries.set(id, retries);
    return retries;
  }
}
