/** The simulated WhatsApp, driven through its admin API. */

import { startSimulator } from "../../../simulator/src/server.ts";
import type { Simulator } from "../../../simulator/src/server.ts";

import type { Runtime } from "./runtime.ts";

// libsignal prints sessions; a test's output is no place for them.
console.info = console.warn = console.error = (): void => undefined;

export interface SentRecord {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly delivered: boolean;
  readonly receipts: number;
  readonly retries: number;
  readonly nacks: string[];
}

export interface ReceivedRecord {
  readonly id: string;
  readonly text: string;
  readonly fromMe: boolean;
  readonly arrivals: number;
  readonly chat: string;
}

export class WhatsApp {
  readonly simulator: Simulator;

  private constructor(simulator: Simulator) {
    this.simulator = simulator;
  }

  static async start(): Promise<WhatsApp> {
    return new WhatsApp(await startSimulator());
  }

  get url(): string {
    return this.simulator.whatsappUrl;
  }

  close(): Promise<void> {
    return this.simulator.close();
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.simulator.adminUrl}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  post<T>(path: string, body: unknown = {}): Promise<T> {
    return this.call<T>("POST", path, body);
  }

  phone(number: string): Promise<unknown> {
    return this.post("/phones", { number });
  }

  contact(number: string, more: Record<string, unknown> = {}): Promise<unknown> {
    return this.post("/contacts", { number, name: "Ana Souza", ...more });
  }

  /** Message ids of what a contact wrote. */
  async write(from: string, to: string, fields: Record<string, unknown>): Promise<string[]> {
    const { ids } = await this.post<{ ids: string[] }>(`/contacts/${from}/send`, { to, ...fields });
    return ids;
  }

  sent(phone: string): Promise<{ sent: SentRecord[]; received: ReceivedRecord[] }> {
    return this.call("GET", `/ledger?phone=${phone}`);
  }

  inbox(contact: string): Promise<ReceivedRecord[]> {
    return this.call("GET", `/contacts/${contact}/inbox`);
  }

  fault(fields: Record<string, unknown>): Promise<{ id: number }> {
    return this.post("/faults", fields);
  }

  /** Pair by QR and log in: leaves the runtime with an open connection. */
  async pair(runtime: Runtime, phone: string): Promise<void> {
    runtime.send({ type: "open" });
    const { qr } = await runtime.state("qr");
    await this.post(`/phones/${phone}/scan`, { qr });
    await runtime.state("closed");
    runtime.send({ type: "open" });
    await runtime.state("open");
  }
}
