// All state of one simulated WhatsApp: accounts, groups, faults and connections.
import { randomBytes } from "node:crypto";
import { Account, type AccountOptions, type Role } from "./account.ts";
import type { Companion } from "./companion.ts";
import type { Connection } from "./connection.ts";
import { Faults } from "./faults.ts";
import type { Group } from "./groups.ts";
import { defaultLid, otherSpelling, parseJid } from "./jid.ts";
import { MediaHost } from "./media-host.ts";
import { createServerIdentity } from "./root-key.ts";

export type NewAccount = Partial<AccountOptions> & { readonly number: string; readonly role: Role };

export class World {
  readonly identity = createServerIdentity();
  readonly accounts = new Map<string, Account>();
  readonly groups = new Map<string, Group>();
  readonly faults = new Faults();
  readonly media = new MediaHost(this.faults);
  readonly connections = new Set<Connection>();
  /** Timers of scheduled sends, ended with the simulator. */
  readonly schedules = new Set<NodeJS.Timeout>();
  /** Requests that no handler knew: `xmlns` and tag → count. */
  readonly unknownRequests = new Map<string, number>();
  /** Called after a change that `--state` should remember. */
  onChange: () => void = () => undefined;
  readonly #byLid = new Map<string, Account>();
  #lastTimestamp = 0;

  addAccount(options: NewAccount): Account {
    const account = new Account({
      lid: defaultLid(options.number),
      name: options.number,
      addressing: "lid",
      ...options,
    });
    if (this.findNumber(account.number)) throw new ConflictError(`${account.number} is taken`);
    if (this.#byLid.has(account.lid)) throw new ConflictError(`LID ${account.lid} is taken`);
    this.accounts.set(account.number, account);
    this.#byLid.set(account.lid, account);
    this.onChange();
    return account;
  }

  /** The account registered under the number, in either spelling. */
  findNumber(number: string): Account | undefined {
    const variant = otherSpelling(number);
    return this.accounts.get(number) ?? (variant === undefined ? undefined : this.accounts.get(variant));
  }

  /** The account that an address names, by its exact spelling. */
  findJid(jid: string | undefined): Account | undefined {
    const address = parseJid(jid);
    if (!address) return undefined;
    return address.server === "lid" ? this.#byLid.get(address.user) : this.accounts.get(address.user);
  }

  findCompanion(number: string, device: number): Companion | undefined {
    return this.accounts.get(number)?.companions.get(device);
  }

  connectionsOf(phone: string | undefined): Connection[] {
    const all = [...this.connections];
    return phone === undefined ? all : all.filter((one) => one.companion?.account.number === phone);
  }

  /** Server time in seconds, as stanzas carry it; never goes back. */
  timestamp(): string {
    this.#lastTimestamp = Math.max(this.#lastTimestamp, Math.floor(Date.now() / 1000));
    return String(this.#lastTimestamp);
  }
}

/** The request contradicts what there is. */
export class ConflictError extends Error {}

let stanzaCounter = 0;

/** An id for a stanza of the server's own. */
export function stanzaId(): string {
  stanzaCounter += 1;
  return `${process.pid.toString(36)}.${stanzaCounter}`;
}

/** A message id as phones make them. */
export function messageId(): string {
  return `3A${randomBytes(9).toString("hex").toUpperCase()}`;
}
