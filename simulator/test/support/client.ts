// A real, unmodified Baileys client with its state in memory, as a host program would run it.
import {
  type AuthenticationState,
  type BaileysEventMap,
  DEFAULT_CONNECTION_CONFIG,
  makeWASocket,
  WA_CERT_DETAILS,
  type WAMessage,
  type WASocket,
} from "baileys";
import { ROOT_PUBLIC_KEY } from "../../src/root-public-key.ts";
import { memoryAuth, silentLogger } from "./auth.ts";
import { DEADLINE_MS, waitFor } from "./wait.ts";

(WA_CERT_DETAILS as { PUBLIC_KEY: Uint8Array }).PUBLIC_KEY = ROOT_PUBLIC_KEY;

// libsignal reports sessions, keys included, on the console.
console.info = console.warn = console.error = () => undefined;

// Baileys leaves its long timeouts behind when a socket ends; they must not hold up the tests.
const LONG_MS = 10_000;
const setTimer = globalThis.setTimeout;
globalThis.setTimeout = ((callback: () => void, ms?: number, ...rest: []) => {
  const timer = setTimer(callback, ms, ...rest);
  return ms !== undefined && ms > LONG_MS ? timer.unref() : timer;
}) as typeof setTimeout;

export type Upsert = { readonly message: WAMessage; readonly type: "notify" | "append" };

export class Client {
  readonly auth: AuthenticationState = memoryAuth();
  readonly upserts: Upsert[] = [];
  readonly updates: BaileysEventMap["messages.update"] = [];
  readonly qrs: string[] = [];
  /** Disconnect codes, in order. */
  readonly closes: (number | undefined)[] = [];
  readonly acks: Record<string, string>[] = [];
  socket!: WASocket;
  open = false;
  readonly #url: string;
  readonly #config: object;
  readonly #sent = new Map<string, WAMessage["message"]>();

  constructor(url: string, config: object = {}) {
    this.#url = url;
    this.#config = config;
  }

  connect(): void {
    this.open = false;
    const socket = makeWASocket({
      ...DEFAULT_CONNECTION_CONFIG,
      waWebSocketUrl: this.#url,
      auth: this.auth,
      logger: silentLogger,
      markOnlineOnConnect: false,
      qrTimeout: 60_000,
      getMessage: async ({ id }) => this.#sent.get(id ?? "") ?? undefined,
      ...this.#config,
    });
    this.socket = socket;
    socket.ev.on("creds.update", (update) => Object.assign(this.auth.creds, update));
    socket.ev.on("messages.upsert", ({ messages, type }) => {
      for (const message of messages) this.upserts.push({ message, type });
    });
    socket.ev.on("messages.update", (updates) => this.updates.push(...updates));
    socket.ws.on("CB:ack,class:message", ({ attrs }: { attrs: Record<string, string> }) => this.acks.push(attrs));
    socket.ev.on("connection.update", ({ connection, lastDisconnect, qr }) => {
      if (qr !== undefined) this.qrs.push(qr);
      if (connection === "open") this.open = true;
      if (connection === "close" && this.socket === socket) {
        this.open = false;
        const error = lastDisconnect?.error as { output?: { statusCode?: number } } | undefined;
        this.closes.push(error?.output?.statusCode);
      }
    });
  }

  qr(): Promise<string> {
    return waitFor("a QR code", () => this.qrs.at(-1));
  }

  closed(count = 1, deadlineMs = DEADLINE_MS): Promise<number | undefined> {
    return waitFor(`close number ${count}`, () => this.closes.length >= count, deadlineMs).then(
      () => this.closes[count - 1],
    );
  }

  opened(): Promise<void> {
    return waitFor("open", () => this.open).then(() => undefined);
  }

  /** Texts received from others, in order, repeats included. */
  texts(): string[] {
    return this.upserts
      .filter(({ message }) => !message.key.fromMe && message.message)
      .map(({ message }) => textOf(message));
  }

  async send(jid: string, text: string, messageId?: string): Promise<WAMessage> {
    const message = await this.socket.sendMessage(jid, { text }, messageId === undefined ? {} : { messageId });
    this.#sent.set(message!.key.id!, message!.message);
    return message!;
  }

  /** Server acknowledgement of a sent message. */
  ack(id: string): Promise<Record<string, string>> {
    return waitFor(`ack of ${id}`, () => this.acks.find((one) => one.id === id));
  }

  async end(): Promise<void> {
    this.socket.ev.removeAllListeners("connection.update");
    this.socket.end(undefined);
    await waitFor("the socket's end", () => !this.socket.ws.isOpen);
  }
}

export function textOf({ message }: WAMessage): string {
  return message?.conversation ?? message?.extendedTextMessage?.text ?? "";
}
