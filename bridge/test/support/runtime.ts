/** The runtime's end of the protocol, for tests. */

import { once } from "node:events";

import { WebSocket } from "ws";

import { waitFor } from "./wait.ts";

export interface Frame {
  readonly v: number;
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface MessageEvent {
  readonly seq: number;
  readonly data: {
    readonly key: Record<string, unknown> & { id: string; fromMe: boolean; remoteJid: string };
    readonly phone: string | null;
    readonly lid: string | null;
    readonly pushName: string | null;
    readonly timestamp: number;
    readonly offline: boolean;
    readonly stub: string | null;
    readonly message: Record<string, unknown> | null;
    readonly change?: unknown;
  };
}

export class Runtime {
  readonly ws: WebSocket;
  readonly frames: Frame[] = [];
  /** Acknowledge every event as it comes. */
  autoAck = false;
  closeCode: number | null = null;
  #nextRequest = 1;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      this.frames.push(frame);
      if (frame.type === "event" && this.autoAck) this.send({ type: "ack", seq: frame["seq"] });
    });
    ws.on("error", () => undefined);
    ws.on("close", (code) => {
      this.closeCode = code;
    });
  }

  static async connect(port: number, id: string, token: string): Promise<Runtime> {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/connections/${id}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const runtime = new Runtime(ws);
    await once(ws, "open");
    return runtime;
  }

  send(frame: Record<string, unknown>): void {
    this.ws.send(JSON.stringify({ v: 1, ...frame }));
  }

  async hello(window = 1000): Promise<Frame> {
    this.send({ type: "hello", generation: 1, window });
    return this.frame("welcome");
  }

  frame(type: string, match: (frame: Frame) => boolean = () => true): Promise<Frame> {
    return waitFor(`a ${type} frame`, () =>
      this.frames.find((frame) => frame.type === type && match(frame)),
    );
  }

  state(name: string, skip = 0): Promise<Frame> {
    return waitFor(`state ${name}`, () => this.states(name)[skip], 25_000);
  }

  states(name: string): Frame[] {
    return this.frames.filter((frame) => frame.type === "state" && frame["state"] === name);
  }

  events(kind: string): Frame[] {
    return this.frames.filter((frame) => frame.type === "event" && frame["kind"] === kind);
  }

  messages(): MessageEvent[] {
    return this.events("message") as unknown as MessageEvent[];
  }

  message(id: string, skip = 0): Promise<MessageEvent> {
    return waitFor(
      `message ${id}`,
      () => this.messages().filter(({ data }) => data.key.id === id)[skip],
    );
  }

  /** The data of the first event of this kind that matches. */
  kind(kind: string, match: (data: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    return waitFor(`a ${kind} event`, () =>
      this.events(kind)
        .map((frame) => frame["data"] as Record<string, unknown>)
        .find(match),
    );
  }

  status(id: string, status: string): Promise<Frame> {
    return waitFor(`status ${status} of ${id}`, () =>
      this.events("status").find((frame) => {
        const data = frame["data"] as { id: string; status: string };
        return data.id === id && data.status === status;
      }),
    );
  }

  async request(type: string, fields: Record<string, unknown> = {}): Promise<Frame> {
    const requestId = `r${this.#nextRequest++}`;
    this.send({ type, requestId, ...fields });
    return this.frame("reply", (frame) => frame["requestId"] === requestId);
  }

  async close(): Promise<void> {
    if (this.ws.readyState === WebSocket.CLOSED) return;
    this.ws.close();
    await once(this.ws, "close");
  }
}

export function textOf(message: Record<string, unknown> | null): string | undefined {
  const extended = message?.["extendedTextMessage"] as { text?: string } | undefined;
  return (message?.["conversation"] as string | undefined) ?? extended?.text;
}
