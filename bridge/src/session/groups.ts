/** Group metadata, for sending and for who administers: fetched once, refreshed when the group changes. */

import type { GroupMetadata } from "baileys";

import { errorMessage, log } from "../log.ts";
import { within } from "./deadline.ts";
import type { Socket } from "./socket.ts";
import { TtlCache } from "./ttl-cache.ts";

const LIFETIME_MS = 60 * 60 * 1000;
const MAX_GROUPS = 1000;
const FIND_DEADLINE_MS = 5_000;
const POLL_MS = 50;
/** Whoever asks for what cannot be had makes others wait: so not again and again. */
const MISSED_FOR_MS = 60_000;

export class GroupCache {
  readonly #cache = new TtlCache(LIFETIME_MS, MAX_GROUPS);
  readonly #missed = new TtlCache(MISSED_FOR_MS, MAX_GROUPS);

  get(jid: string): GroupMetadata | undefined {
    return this.#cache.get<GroupMetadata>(jid);
  }

  /** Make sure that the metadata is there before a message is sent to the group. */
  async prepare(sock: Socket, jid: string): Promise<void> {
    if (this.get(jid) === undefined) this.#cache.set(jid, await sock.groupMetadata(jid));
  }

  /** The metadata, within a deadline; null when it cannot be had now. Waits for the socket to open. */
  async find(openSocket: () => Socket | null, jid: string): Promise<GroupMetadata | null> {
    const known = this.get(jid);
    if (known !== undefined) return known;
    if (this.#missed.get(jid) !== undefined) return null;
    const until = Date.now() + FIND_DEADLINE_MS;
    try {
      let sock = openSocket();
      while (sock === null && Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        sock = openSocket();
      }
      if (sock === null) throw new Error("not connected");
      const metadata = await within(Math.max(1, until - Date.now()), sock.groupMetadata(jid), "group");
      this.#cache.set(jid, metadata);
      return metadata;
    } catch (error) {
      log("warn", "group_not_found", { error: errorMessage(error) });
      this.#missed.set(jid, true);
      return null;
    }
  }

  /** Whatever changed, the next message asks again: a stale list would miss participants. */
  watch(sock: Socket): void {
    const forget = (jid: string | undefined): void => {
      if (jid !== undefined) this.#cache.del(jid);
    };
    this.#missed.flushAll();
    sock.ev.on("groups.upsert", (groups) => {
      for (const group of groups) this.#cache.set(group.id, group);
    });
    sock.ev.on("groups.update", (groups) => {
      for (const group of groups) forget(group.id);
    });
    sock.ev.on("group-participants.update", ({ id }) => forget(id));
  }
}
