/** One runtime on one connection: what its frames do and what goes back. */

import { existsSync, rmSync } from "node:fs";

import type { WAVersion } from "baileys";

import { Outbox } from "../events/outbox.ts";
import { fitting } from "../events/oversized.ts";
import type { Outgoing } from "../events/oversized.ts";
import { bug, storageFailure } from "../fatal.ts";
import { errorMessage, log } from "../log.ts";
import { ProtocolError, RequestError, encodeFrame, parseFrame, requestIn } from "../protocol.ts";
import type { BridgeFrame, EventKind, RuntimeFrame } from "../protocol.ts";
import { PLAIN } from "./behaviour.ts";
import { noGroups } from "./changes.ts";
import type { GroupLookup } from "./changes.ts";
import { ProxyAgent } from "./proxy.ts";
import { Connection } from "./connection.ts";
import { ConnectionFiles } from "./files.ts";
import { isRegistered } from "./me.ts";
import { messageData } from "./rebuild.ts";
import {
  checkPhones,
  group,
  pairingCode,
  picture,
  probe,
  requestLogout,
  showPresence,
  tellRead,
} from "./requests.ts";
import { Sender } from "./send.ts";
import { loadCredentials } from "./socket.ts";
import type { Socket } from "./socket.ts";
import { Store } from "./store.ts";
import type { EventRow } from "./store.ts";
import type { TtlCache } from "./ttl-cache.ts";

export interface SessionOptions {
  readonly id: string;
  readonly directory: string;
  readonly version: WAVersion | null;
  readonly retries: TtlCache;
  /** Write one text frame to the runtime. */
  readonly write: (text: string) => void;
  readonly onSocketMade: () => void;
  readonly onDecryptFailure: () => void;
}

export interface SessionHealth {
  readonly id: string;
  readonly state: string;
  readonly lastFrameAt: number | null;
  readonly pendingEvents: number;
  readonly unfilledStubs: number;
}

type Request = Extract<RuntimeFrame, { requestId: string }>;

export class Session {
  readonly id: string;
  readonly #options: SessionOptions;
  readonly #files: ConnectionFiles;
  #store: Store;
  #outbox: Outbox;
  #connection: Connection;
  #sender: Sender;
  /** From `hello`; null until then. */
  #hello: { generation: number; window: number } | null = null;
  #behaviour = PLAIN;
  /** Events of an earlier life may be handed over before the runtime has said how to behave. */
  #isTold = false;
  #disposed = false;

  /** Raises when the connection's database cannot be opened. */
  constructor(options: SessionOptions) {
    this.id = options.id;
    this.#options = options;
    this.#files = new ConnectionFiles(options.directory, options.id);
    this.#files.recover();
    this.#store = new Store(this.#files.current, storageFailure);
    this.#outbox = this.#makeOutbox();
    this.#connection = this.#makeConnection();
    this.#sender = this.#makeSender();
  }

  health(): SessionHealth {
    return {
      id: this.id,
      state: this.#connection.state,
      lastFrameAt: this.#connection.lastFrameAt,
      pendingEvents: this.#store.pendingEvents,
      unfilledStubs: this.#store.unfilledStubs(),
    };
  }

  /** The socket while WhatsApp is open. */
  get openSocket(): Socket | null {
    return this.#connection.openSocket;
  }

  /** What media is to be fetched through: the connection's proxy, if it has one. */
  get mediaAgent(): ProxyAgent | undefined {
    const { proxy } = this.#behaviour;
    return proxy === null ? undefined : new ProxyAgent(proxy, true);
  }

  /** Handle one frame; raises ProtocolError when it is not in the protocol. A request is answered. */
  receive(text: string): void {
    let frame: RuntimeFrame;
    try {
      frame = parseFrame(text);
    } catch (error) {
      const requestId = this.#hello === null ? null : requestIn(text);
      if (requestId === null || !(error instanceof ProtocolError)) throw error;
      log("error", "malformed_request", { connection: this.id, message: error.message });
      const { message } = error;
      this.#send({ type: "reply", requestId, ok: false, error: { code: "malformed", message, retryable: false } });
      return;
    }
    if (this.#hello === null) {
      if (frame.type !== "hello") throw new ProtocolError("the first frame must be hello");
      this.#welcome(frame);
      return;
    }
    switch (frame.type) {
      case "hello":
        throw new ProtocolError("hello was already said");
      case "open":
        this.#behaviour = frame.options;
        this.#isTold = true;
        this.#connection.configure(frame.options);
        this.#connection.open();
        break;
      case "configure":
        this.#behaviour = frame.options;
        this.#isTold = true;
        this.#connection.configure(frame.options);
        break;
      case "close":
        this.#connection.close();
        break;
      case "ack":
        this.#outbox.acknowledge(frame.seq);
        break;
      default:
        void this.#answer(frame);
    }
  }

  /** The runtime is gone: end the socket, keep everything else for its return. */
  dispose(): void {
    this.#disposed = true;
    this.#connection.close("the runtime went away");
    this.#outbox.stop();
    this.#store.close();
  }

  #welcome(hello: { generation: number; window: number }): void {
    this.#hello = { generation: hello.generation, window: hello.window };
    const creds = loadCredentials(this.#store);
    this.#send({
      type: "welcome",
      epoch: this.#store.epoch,
      registered: isRegistered(creds),
      me: isRegistered(creds) ? this.#connection.me() : null,
      pendingEvents: this.#store.pendingEvents,
    });
    this.#outbox.start(hello.window);
  }

  async #answer(request: Request): Promise<void> {
    const { requestId } = request;
    try {
      const data = await this.#perform(request);
      this.#send({ type: "reply", requestId, ok: true, data });
    } catch (error) {
      const known =
        error instanceof RequestError
          ? error
          : new RequestError("internal", errorMessage(error), true);
      const { code, message, retryable, reason } = known;
      log("warn", "request_failed", { connection: this.id, type: request.type, code, message });
      this.#send({ type: "reply", requestId, ok: false, error: { code, message, retryable, ...(reason === undefined ? {} : { reason }) } });
    }
  }

  async #perform(request: Request): Promise<unknown> {
    switch (request.type) {
      case "send":
        return this.#sender.send(request);
      case "check":
        return checkPhones(this.#connection, request.phones);
      case "pairingCode":
        return pairingCode(this.#connection, request.phone);
      case "probe":
        return probe(this.#connection);
      case "read":
        return tellRead(this.#connection, this.#store, request.chat, request.ids);
      case "presence":
        return showPresence(this.#connection, request.to, request.state);
      case "sent":
        return { sent: this.#store.sent(request.messageId) !== null };
      case "picture":
        return picture(this.#connection, request.jid);
      case "group":
        return group(this.#connection, request.jid);
      case "logout":
        await requestLogout(this.#connection);
        return this.#startAnew(request.reason);
      case "restore":
        return this.#restore(request.archive);
    }
  }

  /** Archive the database and go on with a new one. */
  async #startAnew(reason: string): Promise<{ epoch: string }> {
    this.#files.discardNext();
    return this.#succeed(reason, () => new Store(this.#files.next, refuse));
  }

  /** Go on with an archived database; the present one is archived in its turn. */
  async #restore(archived: string): Promise<{ epoch: string }> {
    const archive = this.#files.archive(archived);
    if (!existsSync(archive)) throw new RequestError("no_archive", "there is no such archive", false);
    this.#prepare("archive_unusable", false, () => {
      this.#files.copyToNext(archive);
      new Store(this.#files.next, refuse).close();
    });
    const answer = await this.#succeed("restored", () => {
      const store = new Store(this.#files.next, refuse);
      store.reinstate();
      return store;
    });
    // An older copy of ratchets that go on now would only do harm.
    rmSync(archive, { force: true });
    return answer;
  }

  /** Work on the file that is to take over, which is given up where that fails. */
  #prepare(code: string, retryable: boolean, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#files.discardNext();
      throw new RequestError(code, errorMessage(error), retryable);
    }
  }

  /** Another database takes over: same numbering, events not yet acknowledged. */
  async #succeed(reason: string, open: () => Store): Promise<{ epoch: string }> {
    this.#connection.close("another database takes over");
    this.#outbox.stop();
    const waiting = this.#store.eventsAfter(0, -1);
    const events: EventRow[] = [];
    for (const event of waiting) events.push({ ...event, data: await this.#render(event) });
    // The runtime may have gone meanwhile, and the store with it; it will ask again.
    if (this.#disposed) throw new RequestError("interrupted", "the session has ended", true);
    this.#prepare("storage", true, () => {
      const successor = open();
      successor.continueFrom(this.#store.lastSeq(), events);
      successor.seal();
    });
    const keep = isRegistered(loadCredentials(this.#store));
    this.#store.retire(reason);
    this.#store.seal();
    try {
      this.#files.swap(keep);
    } catch (error) {
      storageFailure(error);
    }
    this.#store = new Store(this.#files.current, storageFailure);
    this.#outbox = this.#makeOutbox();
    this.#connection = this.#makeConnection();
    this.#sender = this.#makeSender();
    this.#outbox.start(this.#hello!.window);
    return { epoch: this.#store.epoch };
  }

  /** Groups that are not stored need no answer. */
  readonly #groupOf: GroupLookup = (jid) =>
    this.#behaviour.storeGroups || !this.#isTold ? this.#connection.groups.find(() => this.#connection.openSocket, jid) : noGroups(jid);

  async #render(event: EventRow): Promise<string> {
    if (event.data !== null) return event.data;
    const me = this.#connection.me() ?? { id: "", lid: null, name: null, phone: null };
    return JSON.stringify(await messageData(event.inbound!, me, this.#store, this.#groupOf));
  }

  #makeOutbox(): Outbox {
    return new Outbox({
      store: this.#store,
      render: (event) => this.#render(event),
      send: ({ seq, kind, receivedAt }, dataJson) => {
        const fitted = this.#fitting(seq, kind, dataJson);
        this.#send({ type: "event", seq, receivedAt, ...fitted });
      },
      onError: bug,
    });
  }

  #fitting(seq: number, kind: EventKind, dataJson: string): Outgoing {
    const { directory } = this.#options;
    try {
      return fitting({ directory, connectionId: this.id, seq, kind, dataJson });
    } catch (error) {
      return storageFailure(error);
    }
  }

  #makeConnection(): Connection {
    const connection = new Connection({
      id: this.id,
      store: this.#store,
      retries: this.#options.retries,
      version: this.#options.version,
      onSocketMade: this.#options.onSocketMade,
      onDecryptFailure: this.#options.onDecryptFailure,
      onState: (state) => {
        this.#send({ type: "state", generation: this.#hello?.generation ?? 0, ...state });
      },
      onPresence: (presence) => this.#send({ type: "presence", ...presence }),
    });
    connection.configure(this.#behaviour);
    return connection;
  }

  #makeSender(): Sender {
    return new Sender(
      this.#store,
      this.#connection.groups,
      () => this.#connection.openSocket,
    );
  }

  #send(frame: BridgeFrame): void {
    this.#options.write(encodeFrame(frame));
  }
}

function refuse(error: unknown): never {
  throw error;
}
