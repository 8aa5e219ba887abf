/** What the runtime wants a connection to do by itself; sent with `open` and `configure`. */

import { isIP } from "node:net";

import { ProtocolError } from "../protocol.ts";

/** A way out. The URL may hold a password: never logged. */
export interface Proxy {
  readonly url: string;
  /** What the runtime found its name to mean, and judged; nothing else is connected to. */
  readonly addresses: readonly string[];
}

export interface Behaviour {
  readonly proxy: Proxy | null;
  readonly rejectCalls: boolean;
  readonly alwaysOnline: boolean;
  readonly readAutomatically: boolean;
  readonly storeGroups: boolean;
  readonly history: { readonly days: number; readonly maxMessages: number } | null;
}

export const PLAIN: Behaviour = {
  proxy: null,
  rejectCalls: false,
  alwaysOnline: false,
  readAutomatically: false,
  storeGroups: false,
  history: null,
};

/** Read the options of a frame, missing ones as in PLAIN; raises ProtocolError. */
export function behaviourOf(value: unknown): Behaviour {
  if (value === undefined || value === null) return PLAIN;
  if (typeof value !== "object" || Array.isArray(value)) throw new ProtocolError("field options must be an object");
  const fields = value as Readonly<Record<string, unknown>>;
  const flag = (name: string): boolean => {
    const given = fields[name] ?? false;
    if (typeof given !== "boolean") throw new ProtocolError(`option ${name} must be a boolean`);
    return given;
  };
  return {
    proxy: proxyOf(fields),
    rejectCalls: flag("rejectCalls"),
    alwaysOnline: flag("alwaysOnline"),
    readAutomatically: flag("readAutomatically"),
    storeGroups: flag("storeGroups"),
    history: historyOf(fields["history"]),
  };
}

/** Whether an agent can be made of it (the attempt would end the process) and may go anywhere. */
export function isUsable({ url, addresses }: Proxy): boolean {
  if (!URL.canParse(url) || addresses.length === 0) return false;
  const { protocol, hostname } = new URL(url);
  return /^(https?|socks5h?):$/.test(protocol) && hostname !== "";
}

function proxyOf(fields: Readonly<Record<string, unknown>>): Proxy | null {
  const url = fields["proxy"] ?? null;
  if (url === null) return null;
  if (typeof url !== "string") throw new ProtocolError("option proxy must be a URL");
  const addresses = fields["proxyAddresses"] ?? [];
  if (!Array.isArray(addresses) || !addresses.every((one) => typeof one === "string" && isIP(one) !== 0)) {
    throw new ProtocolError("option proxyAddresses must list IP addresses");
  }
  return { url, addresses: addresses as string[] };
}

function historyOf(value: unknown): Behaviour["history"] {
  if (value === undefined || value === null) return null;
  const { days, maxMessages } = value as { days?: unknown; maxMessages?: unknown };
  if (!isCount(days) || !isCount(maxMessages)) throw new ProtocolError("option history must be {days, maxMessages}");
  return { days, maxMessages };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 100_000;
}
