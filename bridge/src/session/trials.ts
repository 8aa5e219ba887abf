/**
 * libsignal tries a ciphertext on one session of a record after the other, and steps the ratchet
 * of each before it knows whether the message verifies. When a later one fits it stores them all,
 * and those tried in vain have forgotten what their peer uses: the next message on them cannot be
 * decrypted by either side. A record has several sessions whenever Baileys renewed one.
 */

interface Session {
  readonly indexInfo: { readonly used?: number };
}

/** A serialised session record, as Baileys stores it. */
export interface SessionRecord {
  readonly _sessions?: Readonly<Record<string, Session>>;
}

/** The record after a decryption, with every session but the one that fitted as it was before. */
export function restoreTried<T extends SessionRecord>(before: SessionRecord, after: T): T {
  const old = before._sessions ?? {};
  const now = after._sessions ?? {};
  // In libsignal's own order: the last one that was touched is the one that fitted.
  const touched = Object.keys(old)
    .sort((a, b) => (old[b]!.indexInfo.used ?? 0) - (old[a]!.indexInfo.used ?? 0))
    .filter((key) => key in now && JSON.stringify(old[key]) !== JSON.stringify(now[key]));
  const tried = touched.slice(0, -1).map((key) => [key, old[key]!] as const);
  return { ...after, _sessions: { ...now, ...Object.fromEntries(tried) } };
}
