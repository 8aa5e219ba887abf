/** What the runtime wants a connection to do by itself; sent with `open` and `configure`. */

import { ProtocolError } from "../protocol.ts";

export interface Behaviour {
  /** URL of a proxy, or null. It may hold a password: never logged. */
  readonly proxy: string | null;
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
  const proxy = fields["proxy"] ?? null;
  if (proxy !== null && typeof proxy !== "string") throw new ProtocolError("option proxy must be a URL");
  return {
    proxy,
    rejectCalls: flag("rejectCalls"),
    alwaysOnline: flag("alwaysOnline"),
    readAutomatically: flag("readAutomatically"),
    storeGroups: flag("storeGroups"),
    history: historyOf(fields["history"]),
  };
}

/** Whether an agent can be made of it; the attempt would end the process. */
export function isProxy(url: string): boolean {
  return URL.canParse(url) && /^(https?|socks5h?):$/.test(new URL(url).protocol) && new URL(url).hostname !== "";
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
