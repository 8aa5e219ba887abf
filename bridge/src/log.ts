/**
 * Structured log records on stdout: `{"time": ms, "level", "event", …}`, one JSON object per line.
 * Message content, keys and whole phone numbers never get here: strings are masked on the way out
 * and of Baileys' own records only the text and the error's message are kept.
 */

import type { ILogger } from "baileys/lib/Utils/logger.js";

export type Level = "debug" | "info" | "warn" | "error";
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

// What is no number of a person: UUIDs, and ISO 8601; then JIDs; then runs as long as a number.
const NUMBERS = new RegExp(
  [
    "(?<kept>\\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\\b|\\d{4}-\\d\\d-\\d\\d(?:[T ][\\d:.,]+)?)",
    "(?<jid>\\d{5,20}(?=(?:[-.:_]\\d{1,20})*@[a-z]))",
    "(?<run>(?<![0-9a-f.,])\\d{10,}(?![0-9a-f]|[.,]\\d))",
  ].join("|"),
  "gi",
);
const MOMENT = /^(?:(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{6}|1[5-9]\d{8}|1\d{12}|1\d{15})$/;

/** Keep the last four digits of whatever may be a phone number or a LID; dates and versions stay. */
export function mask(text: string): string {
  return text.replace(NUMBERS, (found: string, kept?: string, jid?: string) => {
    if (kept !== undefined || (jid === undefined && MOMENT.test(found))) return found;
    return `***${found.slice(-4)}`;
  });
}

export function formatRecord(time: number, level: Level, event: string, fields: Fields): string {
  const record: Record<string, unknown> = { time, level, event };
  for (const [name, value] of Object.entries(fields)) {
    record[name] = typeof value === "string" ? mask(value) : value;
  }
  return JSON.stringify(record);
}

export function log(level: Level, event: string, fields: Fields = {}): void {
  process.stdout.write(`${formatRecord(Date.now(), level, event, fields)}\n`);
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The text of a Baileys record: its objects hold stanzas and keys, so only the error's message. */
export function describeRecord(payload: unknown, message: string | undefined): Fields {
  if (typeof payload === "string") return { message: payload };
  const fields: Record<string, string> = { message: message ?? "" };
  if (typeof payload === "object" && payload !== null) {
    const { err, error } = payload as { err?: unknown; error?: unknown };
    const cause = err ?? error;
    if (cause instanceof Error) fields["error"] = cause.message;
  }
  return fields;
}

/**
 * What Baileys logs, at warn and above, through our own masked records. Its errors are warnings to
 * us: it says "stream errored out" of every connection that ends, the one after a pairing too.
 */
export function baileysLogger(connectionId: string): ILogger {
  const write = (level: Level) => (payload: unknown, message?: string) => {
    log(level, "baileys", { connection: connectionId, ...describeRecord(payload, message) });
  };
  const quiet = (): void => undefined;
  const logger: ILogger = {
    level: "warn",
    child: () => logger,
    trace: quiet,
    debug: quiet,
    info: quiet,
    warn: write("warn"),
    error: write("warn"),
  };
  return logger;
}
