/** Baileys' key store on top of our store: one `set` is one SQLite transaction. */

import type { SignalDataSet, SignalDataTypeMap, SignalKeyStore } from "baileys";

import { passed } from "../failpoints.ts";
import { bug } from "../fatal.ts";
import type { InboundPlaintext, KeyWrites, NewEvent, Store } from "./store.ts";

/** The key type under which the gate adds plaintexts to a transaction of Signal keys. */
export const PLAINTEXT = "zapvisor-plaintext";

/** Thrown to what is left of an ended socket; its transport is closed, nothing can leave. */
export class SocketEnded extends Error {
  constructor() {
    super("the socket of this generation has ended");
  }
}

/** Whether the socket that uses the keys is still the one in charge. */
export interface Life {
  alive: boolean;
}

export function signalKeyStore(store: Store, life: Life): SignalKeyStore {
  const assertAlive = (): void => {
    if (!life.alive) throw new SocketEnded();
  };
  return {
    get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]) {
      assertAlive();
      return store.keys(type, ids) as Record<string, SignalDataTypeMap[T]>;
    },
    set(data: SignalDataSet) {
      assertAlive();
      const { [PLAINTEXT]: gated, ...writes } = data as KeyWrites;
      const plaintexts = Object.values(gated ?? {}) as InboundPlaintext[];
      if (plaintexts.length > 0) {
        // A plaintext on its own would survive a crash that its ratchet step does not.
        if (writes["session"] === undefined && writes["sender-key"] === undefined) {
          bug(new Error("plaintext without ratchet state in one transaction"));
        }
        passed("decrypted-before-commit");
      }
      if (writes["app-state-sync-key"] !== undefined) passed("receipt-before-peer");
      store.commit(writes, plaintexts, learnedMappings(store, writes["lid-mapping"]));
    },
  };
}

/** A LID mapping that is new to the store is news to the runtime: a `contact` event. */
function learnedMappings(
  store: Store,
  mappings: Readonly<Record<string, unknown>> | undefined,
): NewEvent[] {
  if (mappings === undefined) return [];
  const phones = Object.keys(mappings).filter((id) => !id.endsWith("_reverse"));
  const known = store.keys("lid-mapping", phones);
  return phones
    .filter((phone) => typeof mappings[phone] === "string" && mappings[phone] !== known[phone])
    .map((phone) => ({
      kind: "contact",
      data: { phone, lid: `${String(mappings[phone])}@lid`, name: null },
    }));
}
