/** Group metadata for sending: fetched once, refreshed when the group changes. */

import type { GroupMetadata } from "baileys";

import type { Socket } from "./socket.ts";
import { TtlCache } from "./ttl-cache.ts";

const LIFETIME_MS = 60 * 60 * 1000;
const MAX_GROUPS = 1000;

export class GroupCache {
  readonly #cache = new TtlCache(LIFETIME_MS, MAX_GROUPS);

  get(jid: string): GroupMetadata | undefined {
    return this.#cache.get<GroupMetadata>(jid);
  }

  /** Make sure that the metadata is there before a message is sent to the group. */
  async prepare(sock: Socket, jid: string): Promise<void> {
    if (this.get(jid) === undefined) this.#cache.set(jid, await sock.groupMetadata(jid));
  }

  /** Whatever changed, the next message asks again: a stale list would miss participants. */
  watch(sock: Socket): void {
    const forget = (jid: string | undefined): void => {
      if (jid !== undefined) this.#cache.del(jid);
    };
    sock.ev.on("groups.upsert", (groups) => {
      for (const group of groups) this.#cache.set(group.id, group);
    });
    sock.ev.on("groups.update", (groups) => {
      for (const group of groups) forget(group.id);
    });
    sock.ev.on("group-participants.update", ({ id }) => forget(id));
  }
}
