// A simulator with a phone, and Baileys clients that are closed with it.
import type { Account } from "../../src/account.ts";
import { sendText } from "../../src/outgoing.ts";
import { scan } from "../../src/phone.ts";
import { type Simulator, startSimulator } from "../../src/server.ts";
import type { World } from "../../src/world.ts";
import { Client } from "./client.ts";
import { waitFor } from "./wait.ts";

export const PHONE = "5511912345678";
export const CUSTOMER = "5521987650001";

export class Scene {
  readonly simulator: Simulator;
  readonly #clients: Client[] = [];

  private constructor(simulator: Simulator) {
    this.simulator = simulator;
  }

  static async start(): Promise<Scene> {
    return new Scene(await startSimulator());
  }

  get world(): World {
    return this.simulator.world;
  }

  phone(number = PHONE): Account {
    return this.world.findNumber(number) ?? this.world.addAccount({ number, role: "phone", name: "Loja do Zé" });
  }

  contact(number = CUSTOMER, options: { addressing?: "lid" | "pn"; name?: string } = {}): Account {
    return (
      this.world.findNumber(number) ??
      this.world.addAccount({ number, role: "contact", name: "Ana Souza", ...options })
    );
  }

  client(config: object = {}): Client {
    const client = new Client(this.simulator.whatsappUrl, config);
    this.#clients.push(client);
    return client;
  }

  /** A client paired by QR, open and done with its first sync. */
  async paired(number = PHONE, config: object = {}): Promise<Client> {
    const client = this.client(config);
    client.connect();
    await scan(this.world, this.phone(number), await client.qr());
    await client.closed();
    client.connect();
    await client.opened();
    await waitFor("the first sync", () => client.auth.creds.accountSyncCounter === 1);
    return client;
  }

  write(from: Account, to: Account, text: string): string {
    return sendText(this.world, from, { account: to }, text).id;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end().catch(() => undefined)));
    await this.simulator.close();
  }
}
