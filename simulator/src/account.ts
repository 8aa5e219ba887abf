// A WhatsApp account: a phone whose companions are under test, or a contact that writes to it.
// Both have a primary device inside this process.
import type { Companion } from "./companion.ts";
import { lidJid, pnJid } from "./jid.ts";
import type { ReceivedMessage, SentMessage } from "./ledger.ts";
import { type DeviceKeys, SignalDevice } from "./signal-device.ts";

export type Role = "phone" | "contact";
export type Addressing = "lid" | "pn";

/** How an account's primary device answers what it receives. */
export type Manners = { delivers: boolean; reads: boolean };

export type AccountOptions = {
  readonly number: string;
  readonly lid: string;
  readonly name: string;
  readonly role: Role;
  readonly addressing: Addressing;
  readonly keys?: DeviceKeys | undefined;
};

export class Account {
  readonly number: string;
  readonly lid: string;
  readonly role: Role;
  readonly device: SignalDevice;
  readonly companions = new Map<number, Companion>();
  /** Companions of others that cached this account's device list and hear of its changes. */
  readonly watchers = new Set<Companion>();
  readonly sent = new Map<string, SentMessage>();
  readonly received = new Map<string, ReceivedMessage>();
  /** Devices that hold this account's sender key, by group. */
  readonly senderKeyHolders = new Map<string, Set<string>>();
  /** App state patches by collection; a collection's version is their number. */
  readonly appState = new Map<string, Uint8Array[]>();
  name: string;
  /** Address of the profile picture, if there is one. */
  picture: string | undefined;
  addressing: Addressing;
  /** Addressed by LID, nothing of it tells the number. */
  hidesNumber = false;
  manners: Manners;
  nextDevice = 1;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: AccountOptions) {
    this.number = options.number;
    this.lid = options.lid;
    this.role = options.role;
    this.name = options.name;
    this.addressing = options.addressing;
    // A phone is asleep in its owner's pocket: its companions are what answers.
    this.manners = { delivers: options.role === "contact", reads: false };
    this.device = new SignalDevice(options.number, options.keys);
  }

  get lidJid(): string {
    return lidJid(this.lid);
  }

  get pnJid(): string {
    return pnJid(this.number);
  }

  /** Runs a job of the primary device after those given before: what keeps a chat in order. */
  run<T>(job: () => Promise<T> | T): Promise<T> {
    const result = this.#tail.then(job);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
