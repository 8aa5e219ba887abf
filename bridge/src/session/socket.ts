/** Makes a Baileys socket from our store; the whole configuration is here. */

import { AsyncLocalStorage } from "node:async_hooks";

import { BufferJSON, DEFAULT_CONNECTION_CONFIG, initAuthCreds, makeWASocket, proto } from "baileys";
import type { AuthenticationCreds, GroupMetadata, KeyPair, SocketConfig, WAVersion } from "baileys";

import { baileysLogger } from "../log.ts";
import type { Behaviour, Proxy } from "./behaviour.ts";
import { gatedRepository } from "./gate.ts";
import type { GateOptions } from "./gate.ts";
import { signalKeyStore } from "./keys.ts";
import type { Life } from "./keys.ts";
import { ProxyAgent } from "./proxy.ts";
import { withHelloKey } from "./server-proof.ts";
import type { Store } from "./store.ts";
import type { TtlCache } from "./ttl-cache.ts";

export type Socket = ReturnType<typeof makeWASocket>;

export interface SocketOptions {
  readonly connectionId: string;
  readonly life: Life;
  readonly creds: AuthenticationCreds;
  readonly gate: GateOptions;
  readonly retries: TtlCache;
  readonly groupOf: (jid: string) => GroupMetadata | undefined;
  readonly version: WAVersion | null;
  readonly behaviour: Behaviour;
}

const { HistorySyncType } = proto.HistorySync;
const NEEDED_HISTORY = new Set<number | null | undefined>([
  HistorySyncType.INITIAL_BOOTSTRAP,
  HistorySyncType.PUSH_NAME,
  HistorySyncType.NON_BLOCKING_DATA,
  HistorySyncType.ON_DEMAND,
]);

/**
 * The first history chunk must be accepted: it carries LID mappings and starts the app-state sync.
 * Old messages are not downloaded unless they shall be imported. Baileys also asks with a bare type whether to wait for history
 * at all, and would skip the app-state sync on a "no".
 */
export function shouldSyncHistory(
  notification: proto.Message.IHistorySyncNotification,
  recent = false,
): boolean {
  const isQuestion =
    !notification.directPath && !notification.initialHistBootstrapInlinePayload?.length;
  if (isQuestion) return notification.syncType !== HistorySyncType.FULL;
  return NEEDED_HISTORY.has(notification.syncType) || (recent && notification.syncType === HistorySyncType.RECENT);
}

// A socket made inside some other socket's asynchronous context would drag that one's
// AsyncLocalStorage along in every context of its own.
const fromRoot = AsyncLocalStorage.snapshot();

/** A socket that begins to connect, and the key pair that it will say hello with. */
export function makeSocket(options: SocketOptions): { sock: Socket; helloKey: KeyPair } {
  const { store } = options.gate;
  const getMessage: SocketConfig["getMessage"] = (key) => {
    const bytes = key.id ? store.sent(key.id) : null;
    return Promise.resolve(bytes === null ? undefined : proto.Message.decode(bytes));
  };
  const { history, proxy } = options.behaviour;
  const make = (): Socket =>
    makeWASocket({
      ...(proxy === null ? {} : proxied(proxy)),
      ...(options.version === null ? {} : { version: options.version }),
      auth: { creds: options.creds, keys: signalKeyStore(store, options.life) },
      logger: baileysLogger(options.connectionId),
      markOnlineOnConnect: false,
      syncFullHistory: false,
      shouldSyncHistoryMessage: (notification) => shouldSyncHistory(notification, history !== null),
      emitOwnEvents: false,
      keepAliveIntervalMs: 30_000,
      connectTimeoutMs: 20_000,
      generateHighQualityLinkPreview: false,
      // The store answers at once or ends the process; there is nothing to retry.
      transactionOpts: { maxCommitRetries: 1, delayBetweenTriesMs: 1 },
      msgRetryCounterCache: options.retries,
      getMessage,
      cachedGroupMetadata: (jid) => Promise.resolve(options.groupOf(jid)),
      makeSignalRepository: gatedRepository(options.gate),
    });
  const { made, helloKey } = fromRoot(() => withHelloKey(make));
  if (helloKey === null) throw new Error("Baileys made no key to say hello with");
  return { sock: made, helloKey };
}

/** Everything that Baileys opens by itself goes through the proxy: the socket and uploads. */
function proxied(proxy: Proxy): Pick<SocketConfig, "agent" | "fetchAgent"> {
  const { protocol } = new URL(DEFAULT_CONNECTION_CONFIG.waWebSocketUrl);
  return {
    agent: new ProxyAgent(proxy, protocol === "wss:"),
    fetchAgent: new ProxyAgent(proxy, true),
  };
}

/** The stored credentials, or new ones, stored before anything is done with them. */
export function loadCredentials(store: Store): AuthenticationCreds {
  const json = store.credentials();
  if (json === null) {
    const creds = initAuthCreds();
    saveCredentials(store, creds);
    return creds;
  }
  const creds = JSON.parse(json, BufferJSON.reviver) as AuthenticationCreds;
  // An abandoned pairing code leaves an account id without an account: it would log in, not pair.
  if (creds.me && !creds.account) {
    delete creds.me;
    creds.pairingCode = undefined;
  }
  return creds;
}

export function saveCredentials(store: Store, creds: AuthenticationCreds): void {
  store.writeCredentials(JSON.stringify(creds, BufferJSON.replacer));
}
