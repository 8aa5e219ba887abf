// The admin API's HTTP side: JSON in, JSON out, on loopback.
import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { routes } from "./admin-routes.ts";
import { isLoopback } from "./server.ts";
import { ConflictError, type World } from "./world.ts";

/** Largest request body: room for some ten thousand texts. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

export type AdminRequest = {
  readonly world: World;
  /** Path segments that the route's `:names` matched. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
};

export class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function createAdmin(world: World, token: string | undefined): RequestListener {
  return (request, response) => {
    answer(world, token, request)
      .then((result) => reply(response, 200, result ?? { ok: true }))
      .catch((error: unknown) => reply(response, statusOf(error), { error: messageOf(error) }));
  };
}

async function answer(world: World, token: string | undefined, request: IncomingMessage): Promise<unknown> {
  if (!isLoopback(request.socket.remoteAddress) || !isOwnHost(request.headers.host)) {
    throw new HttpError(403, "loopback only");
  }
  const url = new URL(request.url ?? "/", "http://localhost");
  if (token !== undefined && url.pathname !== "/health" && !isAuthorized(token, request)) {
    throw new HttpError(401, "missing or wrong token");
  }
  const segments = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  for (const [method, pattern, handle] of routes) {
    const params = method === request.method ? match(pattern, segments) : undefined;
    if (params) return handle({ world, params, query: url.searchParams, body: await readBody(request) });
  }
  throw new HttpError(404, `no such call: ${request.method} ${url.pathname}`);
}

/** A page in a browser must not reach the API through a name of its own (DNS rebinding). */
function isOwnHost(host: string | undefined): boolean {
  const name = (host ?? "").replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || isLoopback(name);
}

function isAuthorized(token: string, request: IncomingMessage): boolean {
  const given = Buffer.from(request.headers.authorization ?? "");
  const expected = Buffer.from(`Bearer ${token}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function match(pattern: string, segments: readonly string[]): Record<string, string> | undefined {
  const parts = pattern.split("/").filter(Boolean);
  if (parts.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const segment = segments[index]!;
    if (part.startsWith(":")) params[part.slice(1)] = segment;
    else if (part !== segment) return undefined;
  }
  return params;
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new HttpError(413, "body too large");
    chunks.push(chunk);
  }
  if (size === 0) return {};
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new HttpError(400, "the body is not JSON");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new HttpError(400, "the body has to be an object");
  }
  return body as Record<string, unknown>;
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (error instanceof ConflictError) return 409;
  return error instanceof RangeError || error instanceof URIError ? 400 : 500;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function reply(response: ServerResponse, status: number, result: unknown): void {
  const body = Buffer.from(JSON.stringify(result));
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}
