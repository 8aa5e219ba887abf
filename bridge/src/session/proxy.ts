/** An agent whose connections go through an HTTP (CONNECT) or SOCKS5 proxy. */

import { Agent } from "node:https";
import { connect as connectTcp, isIP } from "node:net";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";

import { errorMessage } from "../log.ts";
import type { Proxy } from "./behaviour.ts";
import { ProxyFailure, isTls } from "./way.ts";

/** To connect to the proxy and end its own handshake, at one of its addresses. */
const HANDSHAKE_MS = 18_000;
const MAX_ANSWER = 16_384;

interface Destination {
  readonly host?: string | null;
  readonly port?: number | string | null;
  readonly servername?: string;
  readonly protocol?: string | null;
  readonly secureEndpoint?: boolean;
}

type Done = (error: Error | null, stream?: Duplex) => void;

/**
 * The proxy's password is in the URL: errors never repeat it. Its name is for TLS alone; connected
 * to are the addresses that were judged.
 */
export class ProxyAgent extends Agent {
  readonly #proxy: URL;
  readonly #addresses: readonly string[];
  readonly #secure: boolean;

  /** `secure`: whether TLS is spoken to the destination through the proxy. */
  constructor({ url, addresses }: Proxy, secure: boolean) {
    super({ keepAlive: false });
    this.#proxy = new URL(url);
    this.#addresses = addresses;
    this.#secure = secure;
    // Node compares an agent's protocol with the request's.
    (this as unknown as { protocol: string }).protocol = secure ? "https:" : "http:";
  }

  override createConnection(options: Destination, done: Done): undefined {
    const host = options.host ?? "localhost";
    const port = Number(options.port ?? (this.#secure ? 443 : 80));
    this.#tunnel(host, port).then(
      (socket) => {
        if (!this.#secure) return done(null, socket);
        const tls = connectTls({ ...(options as object), socket, servername: options.servername ?? host });
        done(null, tls);
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
    return undefined;
  }

  async #tunnel(host: string, port: number): Promise<Socket> {
    let failure = new ProxyFailure("proxy_not_allowed", "the proxy has no address that is allowed");
    for (const address of this.#addresses) {
      try {
        return await this.#tunnelBy(address, host, port);
      } catch (error) {
        failure = failed(error);
        // Another address of the same proxy would answer the same.
        if (failure.failed !== "proxy_unreachable") break;
      }
    }
    throw failure;
  }

  async #tunnelBy(address: string, host: string, port: number): Promise<Socket> {
    const { protocol, hostname } = this.#proxy;
    const to = { host: address, port: Number(this.#proxy.port || (protocol === "https:" ? 443 : 80)) };
    const name = hostname.replace(/^\[|\]$/g, "");
    const socket =
      protocol === "https:"
        ? // SNI is for names; an address is compared with the certificate all the same.
          connectTls({ ...to, ...(isIP(name) === 0 ? { servername: name } : {}) })
        : connectTcp(to);
    const deadline = setTimeout(() => {
      socket.destroy(new ProxyFailure("proxy_unreachable", "the proxy does not answer"));
    }, HANDSHAKE_MS / this.#addresses.length);
    try {
      await once(socket, protocol === "https:" ? "secureConnect" : "connect");
      if (protocol.startsWith("socks5")) await this.#socks(socket, host, port);
      else await this.#connect(socket, host, port);
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(deadline);
    }
    return socket;
  }

  async #connect(socket: Socket, host: string, port: number): Promise<void> {
    const target = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`];
    const { username, password } = this.#credentials();
    if (username) {
      lines.push(`Proxy-Authorization: Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`);
    }
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const answer = await readUntil(socket, (bytes) => {
      const end = bytes.indexOf("\r\n\r\n");
      return end < 0 ? null : end + 4;
    });
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer.toString("latin1"))?.[1];
    if (status === undefined) throw notAProxy("the proxy does not speak HTTP");
    if (status === "407") throw new ProxyFailure("proxy_credentials", "the proxy refused: 407");
    if (status !== "200") throw new ProxyFailure("proxy_refused", `the proxy refused: ${status}`);
  }

  async #socks(socket: Socket, host: string, port: number): Promise<void> {
    const { username, password } = this.#credentials();
    socket.write(Buffer.from(username ? [5, 2, 0, 2] : [5, 1, 0]));
    const [version, method] = await readBytes(socket, 2);
    if (version !== 5) throw notAProxy("the proxy does not speak SOCKS5");
    if (method === 2 && username) {
      const user = Buffer.from(username);
      const secret = Buffer.from(password);
      socket.write(Buffer.concat([Buffer.from([1, user.length]), user, Buffer.from([secret.length]), secret]));
      const [, status] = await readBytes(socket, 2);
      if (status !== 0) throw new ProxyFailure("proxy_credentials", "the proxy refused the credentials");
    } else if (method !== 0) {
      throw new ProxyFailure("proxy_credentials", "the proxy asks for a login that is not known here");
    }
    const name = Buffer.from(host);
    socket.write(
      Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([port >> 8, port & 255])]),
    );
    const head = await readBytes(socket, 4);
    if (head[0] !== 5) throw notAProxy("the proxy does not speak SOCKS5");
    if (head[1] !== 0) throw new ProxyFailure("proxy_refused", `the proxy refused: SOCKS ${head[1]}`);
    const length = head[3] === 1 ? 4 : head[3] === 4 ? 16 : (await readBytes(socket, 1))[0]!;
    await readBytes(socket, length + 2);
  }

  #credentials(): { username: string; password: string } {
    const { username, password } = this.#proxy;
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  }
}

function notAProxy(message: string): ProxyFailure {
  return new ProxyFailure("proxy_answer", message);
}

/** An error on the way to the proxy or in its handshake, as ours. */
function failed(error: unknown): ProxyFailure {
  if (error instanceof ProxyFailure) return error;
  return new ProxyFailure(isTls(error) ? "proxy_certificate" : "proxy_unreachable", errorMessage(error));
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.off("error", reject);
      resolve();
    });
    socket.once("error", reject);
  });
}

function readBytes(socket: Socket, count: number): Promise<Buffer> {
  return readUntil(socket, (bytes) => (bytes.length >= count ? count : null));
}

/** Read up to where `end` says; what follows stays in the socket. */
function readUntil(socket: Socket, end: (bytes: Buffer) => number | null): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const stop = (): void => {
      socket.off("readable", onReadable);
      socket.off("error", onError);
      socket.off("end", onEnd);
    };
    const onError = (error: Error): void => {
      stop();
      reject(error);
    };
    const onEnd = (): void => onError(notAProxy("the proxy hung up"));
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      bytes = Buffer.concat([bytes, chunk]);
      const length = end(bytes);
      if (length === null) {
        if (bytes.length > MAX_ANSWER) onError(notAProxy("the proxy's answer is too long"));
        return;
      }
      stop();
      if (bytes.length > length) socket.unshift(bytes.subarray(length));
      resolve(bytes.subarray(0, length));
    };
    socket.on("readable", onReadable);
    socket.once("error", onError);
    socket.once("end", onEnd);
    onReadable();
  });
}
