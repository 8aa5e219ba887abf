/**
 * One WhatsApp connection: at most one live Baileys socket at a time, each with its own life.
 *
 * When a socket is over (by itself, by request or by a deadline) its life ends first: its keys
 * refuse to work, its listeners are gone, whatever it still emits is ignored.
 */

import type { IncomingMessage } from "node:http";

import type { BinaryNode, ConnectionState as BaileysState, KeyPair, WAVersion } from "baileys";

import { errorMessage, log } from "../log.ts";
import type { ConnectionState, Me, SeenPresence } from "../protocol.ts";
import { callOfStanza, groupStub, pictureOf, readOfReceipt, statusOfAck, statusesOfReceipt } from "./arrivals.ts";
import { PLAIN, isUsable } from "./behaviour.ts";
import type { Behaviour } from "./behaviour.ts";
import { decodeStanza } from "./codec.ts";
import { ProgressDeadline } from "./deadline.ts";
import { fillsOf } from "./fills.ts";
import { GroupCache } from "./groups.ts";
import { holdWrites } from "./held-writes.ts";
import type { Life } from "./keys.ts";
import { meOf } from "./me.ts";
import { watchPeople } from "./people.ts";
import { directory, rebuildMessage } from "./rebuild.ts";
import { isProven } from "./server-proof.ts";
import { loadCredentials, makeSocket, saveCredentials } from "./socket.ts";
import type { Socket } from "./socket.ts";
import { StanzaJoin, isOwed, isRefused } from "./stanza-join.ts";
import type { NewEvent, Store } from "./store.ts";
import { endSocket } from "./teardown.ts";
import type { TtlCache } from "./ttl-cache.ts";
import { causeOf } from "./way.ts";
import type { Cause, Reached } from "./way.ts";

const CONNECT_IDLE_MS = 20_000;
const CONNECT_TOTAL_MS = 90_000;
const OFFLINE_SYNC_IDLE_MS = 60_000;
/** Keep-alive answers arrive every 30 s; Baileys itself may notice silence much later. */
const SILENCE_MS = 45_000;
const SILENCE_CHECK_MS = 5_000;
const FIRST_QR_MS = 60_000;
const NEXT_QR_MS = 20_000;
/** Unacknowledged events beyond which further messages are better left with WhatsApp. */
export const MAX_PENDING_EVENTS = 100_000;

/** Reasons of ours; everything else is the code Baileys gives. */
const CODE_CLOSED_BY_RUNTIME = 1000;
const CODE_TIMED_OUT = 408;
const CODE_UNAVAILABLE = 503;
const CODE_UNKNOWN = 500;

/** What WhatsApp ends a session with: stanzas, which only an opened session has. */
const LAST_WORDS = ["CB:stream:error", "CB:failure", "CB:xmlstreamend", "CB:ib,,downgrade_webclient"];

export interface ConnectionOptions {
  readonly id: string;
  readonly store: Store;
  readonly retries: TtlCache;
  readonly version: WAVersion | null;
  readonly onState: (state: ConnectionState) => void;
  readonly onSocketMade: () => void;
  readonly onDecryptFailure: () => void;
  readonly onPresence: (presence: SeenPresence) => void;
}

interface Live {
  readonly life: Life;
  readonly sock: Socket;
  readonly detach: (() => void)[];
  /** QR codes shown so far. */
  qrs: number;
  reached: Reached;
  /** Whether WhatsApp itself announced the end. */
  dismissed: boolean;
  /** Runs from `open` until everything that waited offline has arrived. */
  offlineSync: ProgressDeadline | "done" | null;
}

export class Connection {
  readonly groups = new GroupCache();
  readonly #options: ConnectionOptions;
  #live: Live | null = null;
  #state: ConnectionState["state"] = "closed";
  #lastFrameAt: number | null = null;
  #behaviour = PLAIN;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get state(): ConnectionState["state"] {
    return this.#state;
  }

  get lastFrameAt(): number | null {
    return this.#lastFrameAt;
  }

  /** The socket while WhatsApp is open. */
  get openSocket(): Socket | null {
    return this.#state === "open" ? (this.#live?.sock ?? null) : null;
  }

  /** The socket in any state: pairing by code needs it before it is open. */
  get anySocket(): Socket | null {
    return this.#live?.sock ?? null;
  }

  /** QR codes that the live socket has shown; after a few it ends. */
  get qrsShown(): number {
    return this.#live?.qrs ?? 0;
  }

  me(): Me | null {
    return meOf(this.#live?.sock.authState.creds ?? loadCredentials(this.#options.store));
  }

  /** What to do by itself from now on; a proxy takes effect with the next socket. */
  configure(behaviour: Behaviour): void {
    const { alwaysOnline } = this.#behaviour;
    this.#behaviour = behaviour;
    const sock = this.openSocket;
    if (sock !== null && alwaysOnline !== behaviour.alwaysOnline) this.#showOnline(sock);
  }

  #showOnline(sock: Socket): void {
    this.#attempt("presence", sock.sendPresenceUpdate(this.#behaviour.alwaysOnline ? "available" : "unavailable"));
  }

  /** What a connection does by itself is a courtesy: a failure is logged, not more. */
  #attempt(what: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      log("warn", "courtesy_failed", { connection: this.#options.id, what, error: errorMessage(error) });
    });
  }

  /** End the live socket, if any, and make a new one. */
  open(): void {
    this.#end(null);
    this.#enter({ state: "connecting" });
    if (this.#isBacklogFull()) {
      this.#enter(closed(CODE_UNAVAILABLE, "backlog", "too many unacknowledged events"));
      return;
    }
    const { proxy } = this.#behaviour;
    if (proxy !== null && !isUsable(proxy)) {
      this.#enter(closed(CODE_UNAVAILABLE, "proxy_not_allowed", "the proxy cannot be used"));
      return;
    }
    const { store } = this.#options;
    const life: Life = { alive: true };
    const join = new StanzaJoin();
    const creds = loadCredentials(store);
    const { sock, helloKey }: { sock: Socket; helloKey: KeyPair } = makeSocket({
      connectionId: this.#options.id,
      life,
      creds,
      retries: this.#options.retries,
      version: this.#options.version,
      behaviour: this.#behaviour,
      groupOf: (jid) => this.groups.get(jid),
      gate: {
        store,
        join,
        fillsOf: (joined, plaintext) => fillsOf(joined, plaintext, meOf(creds), store),
        onDecryptFailure: this.#options.onDecryptFailure,
        onPeer: (id) => {
          // Queued behind the message in hand: runs when Baileys is done with it.
          void sock.messageMutex.mutex(() => {
            if (life.alive) store.markPeerProcessed(id);
          });
        },
      },
    });
    sock.ws.on("upgrade", (response: IncomingMessage) => holdWrites(response.socket, store));
    this.#options.onSocketMade();
    this.#live = { life, sock, detach: [], qrs: 0, reached: "nothing", dismissed: false, offlineSync: null };
    this.#watchHandshake(this.#live, helloKey);
    this.#watchTransport(this.#live);
    this.#watchStanzas(this.#live, join);
    this.#watchEvents(this.#live);
    this.groups.watch(sock);
  }

  /** End the socket; the credentials stay. */
  close(reason = "closed by the runtime"): void {
    if (this.#live === null) return;
    this.#finish(closed(CODE_CLOSED_BY_RUNTIME, "runtime", reason));
  }

  // --- the transport -----------------------------------------------------------------------

  #watchHandshake(live: Live, helloKey: KeyPair): void {
    const { ws } = live.sock;
    const onFrame = (frame: unknown): void => {
      ws.off("frame", onFrame);
      if (!(frame instanceof Uint8Array) || !isProven(frame, helloKey)) {
        this.#finish(closed(CODE_UNAVAILABLE, "not_whatsapp", "the server is not whom its certificate names"));
      }
    };
    ws.prependListener("frame", onFrame);
    live.detach.push(() => ws.off("frame", onFrame));
  }

  #watchTransport(live: Live): void {
    const { sock } = live;
    const connecting = new ProgressDeadline(CONNECT_IDLE_MS, CONNECT_TOTAL_MS, () => {
      this.#finish(closed(CODE_TIMED_OUT, "timed_out", "connect deadline"));
    });
    const onOpen = (): void => {
      live.reached = "websocket";
    };
    const onFrame = (frame: unknown): void => {
      this.#lastFrameAt = Date.now();
      connecting.touch();
      // Bytes are the handshake's, which anybody can send; a stanza has been decrypted.
      if (!(frame instanceof Uint8Array)) live.reached = "session";
    };
    const onLastWord = (): void => {
      live.dismissed = true;
    };
    // Without a listener an upgrade that is refused ends in silence.
    const onRefused = (_request: unknown, response: { statusCode?: number }): void => {
      this.#finish(closed(CODE_UNAVAILABLE, "http_answer", `upgrade answered with ${response.statusCode}`));
    };
    const stopOfflineSync = (): void => {
      if (live.offlineSync !== "done") live.offlineSync?.stop();
      live.offlineSync = "done";
    };
    const onUpdate = (update: Partial<BaileysState>): void => {
      if (update.qr !== undefined || update.connection === "open") connecting.stop();
      if (update.connection === "open" && live.offlineSync === null) {
        live.offlineSync = new ProgressDeadline(OFFLINE_SYNC_IDLE_MS, null, () => {
          this.#finish(closed(CODE_TIMED_OUT, "silent", "offline sync deadline"));
        });
      }
      if (update.receivedPendingNotifications) stopOfflineSync();
    };
    const silence = setInterval(() => {
      const since = Date.now() - (this.#lastFrameAt ?? 0);
      if (this.#state === "open" && since > SILENCE_MS) {
        this.#finish(closed(CODE_TIMED_OUT, "silent", "no frames received"));
      }
    }, SILENCE_CHECK_MS);
    sock.ws.on("open", onOpen);
    sock.ws.on("frame", onFrame);
    for (const event of LAST_WORDS) sock.ws.prependListener(event, onLastWord);
    sock.ws.on("unexpected-response", onRefused);
    sock.ev.on("connection.update", onUpdate);
    live.detach.push(() => {
      connecting.stop();
      stopOfflineSync();
      clearInterval(silence);
      sock.ws.off("open", onOpen);
      sock.ws.off("frame", onFrame);
      for (const event of LAST_WORDS) sock.ws.off(event, onLastWord);
      sock.ws.off("unexpected-response", onRefused);
      sock.ev.off("connection.update", onUpdate);
    });
  }

  // --- stanzas, before Baileys sees them ---------------------------------------------------

  #watchStanzas(live: Live, join: StanzaJoin): void {
    const { store } = this.#options;
    const names = directory(store);
    const prepend = (event: string, handle: (node: BinaryNode, me: Me) => void): void => {
      const listener = (node: BinaryNode): void => {
        const me = meOf(live.sock.authState.creds);
        if (!live.life.alive || me === null) return;
        if (node.attrs["offline"] !== undefined && live.offlineSync instanceof ProgressDeadline) {
          live.offlineSync.touch();
        }
        try {
          handle(node, me);
        } catch (error) {
          // A stanza that cannot be read: Baileys refuses it as well and tells the server.
          log("warn", "unreadable_stanza", {
            connection: this.#options.id,
            tag: node.tag,
            error: errorMessage(error),
          });
        }
      };
      live.sock.ws.prependListener(event, listener);
      live.detach.push(() => live.sock.ws.off(event, listener));
    };
    const journal = (events: (NewEvent | null)[]): void => {
      store.appendEvents(events.filter((event) => event !== null));
    };

    prepend("CB:message", (node, me) => {
      const inbound = join.note(node, me, Date.now());
      if (inbound.hashes.length === 0 || isRefused(node)) store.storeUndecryptable(inbound, isOwed(node));
      // One queue for live and offline messages keeps the order of the wire.
      node.attrs["offline"] ??= "1";
      if (this.#isBacklogFull()) {
        this.#finish(closed(CODE_UNAVAILABLE, "backlog", "too many unacknowledged events"));
      }
    });
    prepend("CB:receipt", (node, me) => {
      const read = readOfReceipt(node, me, names);
      journal([...statusesOfReceipt(node, me).map((data) => ({ kind: "status" as const, data })), read && { kind: "read", data: read }]);
    });
    prepend("CB:ack,class:message", (node) => {
      const data = statusOfAck(node);
      // Baileys sends messages of its own (to the phone): nobody waits for news of those.
      if (data !== null && store.sent(data.id) !== null) journal([{ kind: "status", data }]);
    });
    prepend("CB:call", (node) => {
      const data = callOfStanza(node, names);
      journal([data && { kind: "call", data }]);
    });
    prepend("CB:notification", (node, me) => {
      const data = groupStub(node, me);
      const picture = pictureOf(node, names);
      journal([data && { kind: "message", data }, picture && { kind: "contact", data: picture }]);
    });
  }

  #isBacklogFull(): boolean {
    return this.#options.store.pendingEvents >= MAX_PENDING_EVENTS;
  }

  // --- Baileys' events ---------------------------------------------------------------------

  #watchEvents(live: Live): void {
    const { sock, life } = live;
    const { store } = this.#options;
    let named = Boolean(sock.authState.creds.me?.name);
    const onCredentials = (): void => {
      if (!life.alive) return;
      const { creds } = sock.authState;
      saveCredentials(store, creds);
      // Without a name Baileys skipped the presence that tells WhatsApp to keep notifying the phone.
      if (!named && creds.me?.name && this.#state === "open") {
        named = true;
        this.#showOnline(sock);
      }
    };
    const onUpdate = (update: Partial<BaileysState>): void => {
      if (!life.alive) return;
      if (update.qr !== undefined) {
        const expiresAt = Date.now() + (live.qrs === 0 ? FIRST_QR_MS : NEXT_QR_MS);
        live.qrs += 1;
        this.#enter({ state: "qr", qr: update.qr, expiresAt });
      }
      if (update.connection === "open") {
        this.#enter({ state: "open", me: meOf(sock.authState.creds) });
        if (this.#behaviour.alwaysOnline) this.#showOnline(sock);
      }
      if (update.receivedPendingNotifications) this.#replayPeers(live);
      if (update.connection === "close") this.#finish(closedBy(update.lastDisconnect?.error, live));
    };
    sock.ev.on("creds.update", onCredentials);
    sock.ev.on("connection.update", onUpdate);
    const stopWatching = watchPeople({
      sock,
      life,
      store,
      behaviour: () => this.#behaviour,
      attempt: (what, work) => {
        this.#attempt(what, work);
      },
      onPresence: this.#options.onPresence,
    });
    live.detach.push(stopWatching, () => {
      sock.ev.off("creds.update", onCredentials);
      sock.ev.off("connection.update", onUpdate);
    });
  }

  /** Keys and history from the phone that an earlier process received but did not work through. */
  #replayPeers({ sock, life }: Live): void {
    const { store } = this.#options;
    void sock.messageMutex.mutex(async () => {
      const me = meOf(sock.authState.creds);
      for (const { id, stanza } of store.unprocessedPeers()) {
        if (!life.alive || me === null || stanza === null) return;
        try {
          await sock.upsertMessage(await rebuildMessage(decodeStanza(stanza), me, store), "append");
        } catch (error) {
          log("warn", "peer_replay_failed", { error: errorMessage(error) });
        }
        if (life.alive) store.markPeerProcessed(id);
      }
    });
  }

  // --- ends --------------------------------------------------------------------------------

  #finish(state: ConnectionState): void {
    if (this.#live === null) return;
    this.#end(null);
    this.#enter(state);
  }

  #end(error: Error | null): void {
    const live = this.#live;
    if (live === null) return;
    // The receipts of what is stored go out while they can.
    this.#options.store.settle();
    this.#live = null;
    // What Baileys still holds back would be dropped with its buffer.
    live.sock.ev.flush();
    live.life.alive = false;
    for (const detach of live.detach) detach();
    endSocket(live.sock, error);
  }

  #enter(state: ConnectionState): void {
    this.#state = state.state;
    log("info", "state", {
      connection: this.#options.id,
      state: state.state,
      ...(state.state === "closed" ? { code: state.code, cause: state.cause, reason: state.reason } : {}),
    });
    this.#options.onState(state);
  }
}

function closed(code: number, cause: Cause, reason: string): ConnectionState {
  return { state: "closed", code, cause, reason, qrEnded: cause === "qr_ended" };
}

function closedBy(error: Error | undefined, live: Live): ConnectionState {
  const output = (error as { output?: { statusCode?: number } } | undefined)?.output;
  const code = output?.statusCode ?? CODE_UNKNOWN;
  const reason = error?.message ?? "closed";
  if (live.dismissed) return closed(code, "whatsapp", reason);
  // Baileys counts the codes itself; they come in a stanza.
  if (reason === "QR refs attempts ended" && live.reached === "session") return closed(code, "qr_ended", reason);
  return closed(code, causeOf(error, live.reached), reason);
}
