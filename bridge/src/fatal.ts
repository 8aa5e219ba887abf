/** Ends of the process that are not in order: see the exit codes in README.md. */

import { errorMessage, log } from "./log.ts";

export const EXIT_BUG = 70;
export const EXIT_STORAGE = 74;

/**
 * Storage failed while running. Ending the process is the only answer that keeps the promise:
 * Baileys would turn an exception into a retry receipt and a nack, so nothing may return to it;
 * without either the server delivers again.
 */
export function storageFailure(error: unknown): never {
  log("error", "storage_failure", { error: errorMessage(error) });
  process.exit(EXIT_STORAGE);
}

export function bug(error: unknown): never {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log("error", "bug", { error: stack });
  process.exit(EXIT_BUG);
}
