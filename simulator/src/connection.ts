// One client's WebSocket: the handshake, then stanzas both ways, with the faults that strike on
// the wire.
import type { Socket } from "node:net";
import { encodeBinaryNode } from "baileys";
import type { WebSocket } from "ws";
import { bootstrap } from "./bootstrap.ts";
import type { Companion } from "./companion.ts";
import type { Pending } from "./delivery-queue.ts";
import { login } from "./login.ts";
import { NoiseResponder } from "./noise.ts";
import { type BinaryNode, decodeNode, node, SERVER_JID } from "./nodes.ts";
import { Registration } from "./registration.ts";
import { dispatch } from "./stanzas.ts";
import { stanzaId, type World } from "./world.ts";

/** Stanzas wait in the delivery queue while this many bytes are in the socket. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** The server tells a companion when its one-time pre-keys run low. */
const LOW_PRE_KEYS = 4;
/** A client that does not finish the handshake is dropped. */
const HANDSHAKE_DEADLINE_MS = 20_000;

type Held = { readonly stanza: BinaryNode; readonly dueAt: number };

export class Connection {
  readonly world: World;
  readonly openedAt = Date.now();
  /** Set by a login. */
  companion: Companion | undefined;
  /** Set while the client is not paired. */
  registration: Registration | undefined;
  closed = false;
  received = 0;
  sent = 0;
  readonly #socket: WebSocket;
  readonly #tcp: Socket;
  readonly #noise: NoiseResponder;
  readonly #handshakeTimer: NodeJS.Timeout;
  #helloSeen = false;
  #active = false;
  #offlineTotal = 0;
  #offlineAnnounced = false;
  #preKeysLow = false;
  #silent = false;
  #closing = false;
  #frozen = false;
  #held: Held[] = [];
  #heldTimer: NodeJS.Timeout | undefined;

  constructor(world: World, socket: WebSocket, tcp: Socket) {
    this.world = world;
    this.#socket = socket;
    this.#tcp = tcp;
    this.#noise = new NoiseResponder(world.identity);
    world.connections.add(this);
    this.#handshakeTimer = setTimeout(() => this.destroy(), HANDSHAKE_DEADLINE_MS);
    socket.on("message", (data: Buffer) => this.#onBytes(data));
    socket.on("error", () => undefined);
    socket.on("close", () => this.#onClose());
  }

  get phone(): string | undefined {
    return this.companion?.account.number;
  }

  /** Sends a stanza now, or when the faults of the moment let it. */
  send(stanza: BinaryNode): void {
    if (this.closed || this.#closing || this.#silent) return;
    const delay = this.world.faults.active("delay", this.phone)?.ms ?? 0;
    if (this.#frozen || delay > 0 || this.#held.length > 0) {
      this.#held.push({ stanza, dueAt: Date.now() + delay });
      this.#releaseHeld();
      return;
    }
    this.#write(stanza);
  }

  /** The companion asked for its messages: first what waited for it, then what comes. */
  activate(): void {
    const companion = this.companion!;
    const backlog = companion.queue.restart();
    this.#active = true;
    this.#offlineTotal = backlog.total;
    this.send(
      node("ib", { from: SERVER_JID }, [
        node("offline_preview", {
          count: String(backlog.total),
          message: String(backlog.messages),
          receipt: String(backlog.receipts),
          notification: String(backlog.notifications),
          call: "0",
          appdata: "0",
        }),
      ]),
    );
    this.pump();
    bootstrap(this.world, companion).catch(() => this.destroy());
  }

  get active(): boolean {
    return this.#active;
  }

  /** Sends what the delivery queue holds, as far as the socket takes it. */
  pump(): void {
    if (!this.#active || this.closed) return;
    const { queue } = this.companion!;
    while (this.#socket.bufferedAmount < MAX_BUFFERED_BYTES) {
      const entry = queue.next();
      if (!entry?.offline && !this.#offlineAnnounced) {
        this.#offlineAnnounced = true;
        this.send(node("ib", { from: SERVER_JID }, [node("offline", { count: String(this.#offlineTotal) })]));
      }
      if (!entry) return;
      this.#sendPending(entry);
      if (this.closed) return;
    }
  }

  preKeyTaken(): void {
    this.world.onChange();
    const left = this.companion!.preKeys.size;
    if (left > LOW_PRE_KEYS) {
      this.#preKeysLow = false;
    } else if (!this.#preKeysLow) {
      this.#preKeysLow = true;
      const content = [node("count", { value: String(left) })];
      const attrs = { id: stanzaId(), from: SERVER_JID, type: "encrypt", t: this.world.timestamp() };
      this.companion!.deliver("notification", node("notification", attrs, content));
    }
  }

  /** Refuses the login: `<failure reason=…>`, then closes. */
  fail(reason: number): void {
    this.send(node("failure", { reason: String(reason), location: "sim", t: this.world.timestamp() }));
    this.close();
  }

  /** Ends the stream with an error, as WhatsApp does before it closes. */
  streamError(code: number | undefined, reason?: BinaryNode): void {
    const attrs = { code: code === undefined ? undefined : String(code) };
    this.send(node("stream:error", attrs, reason ? [reason] : undefined));
    this.close();
  }

  /** Closes when what was said before has been sent. */
  close(): void {
    this.#closing = true;
    if (this.#held.length === 0) this.#socket.close();
  }

  /** Ends the TCP connection without a word; with a reset instead of a FIN if asked. */
  destroy(reset = false): void {
    if (reset) this.#tcp.resetAndDestroy();
    this.#socket.terminate();
    this.#onClose();
  }

  /** Half-open: whatever the client says is lost, and nothing is said to it any more. */
  goSilent(): void {
    this.#silent = true;
    this.#held = [];
  }

  get silent(): boolean {
    return this.#silent;
  }

  /** A stalled path: nothing gets through either way until it is thawed. */
  freeze(): void {
    this.#frozen = true;
    this.#socket.pause();
  }

  thaw(): void {
    this.#frozen = false;
    this.#socket.resume();
    this.#releaseHeld();
  }

  #sendPending(entry: Pending): void {
    const { stanza } = entry;
    const outgoing = entry.offline ? { ...stanza, attrs: { ...stanza.attrs, offline: "0" } } : stanza;
    if (entry.class !== "message" || entry.peer) {
      this.send(outgoing);
      return;
    }
    const { faults } = this.world;
    const undecryptable = faults.strike("undecryptable", this.phone);
    this.send(undecryptable ? corrupted(outgoing) : outgoing);
    if (faults.strike("duplicate", this.phone)) this.send(outgoing);
    this.#countTowardsDrop();
  }

  #countTowardsDrop(): void {
    for (const fault of this.world.faults.list()) {
      if (fault.kind !== "drop" || fault.after === undefined) continue;
      if (fault.phone !== undefined && fault.phone !== this.phone) continue;
      fault.struck += 1;
      if (fault.struck < fault.after) continue;
      fault.struck = 0;
      fault.remaining -= 1;
      if (fault.remaining <= 0) this.world.faults.clear(fault.id);
      this.destroy(fault.reset);
      return;
    }
  }

  #releaseHeld(): void {
    clearTimeout(this.#heldTimer);
    if (this.#frozen) return;
    const now = Date.now();
    let released = 0;
    while (released < this.#held.length && this.#held[released]!.dueAt <= now) {
      this.#write(this.#held[released]!.stanza);
      released += 1;
    }
    this.#held.splice(0, released);
    const next = this.#held[0];
    if (!next && this.#closing) this.#socket.close();
    if (next) this.#heldTimer = setTimeout(() => this.#releaseHeld(), Math.max(1, next.dueAt - now));
  }

  #write(stanza: BinaryNode): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.sent += 1;
    this.#socket.send(this.#noise.encryptFrame(encodeBinaryNode(stanza)), () => {
      if (this.#socket.bufferedAmount === 0) this.pump();
    });
  }

  #onBytes(data: Buffer): void {
    try {
      for (const frame of this.#noise.receive(data)) this.#onFrame(frame);
    } catch {
      // Garbage on the wire: WhatsApp just hangs up.
      this.destroy();
    }
  }

  #onFrame(frame: Buffer): void {
    if (this.#noise.established) {
      const stanza = decodeNode(this.#noise.decryptFrame(frame));
      this.received += 1;
      if (!this.#silent) dispatch(this, stanza);
    } else if (!this.#helloSeen) {
      this.#helloSeen = true;
      this.#socket.send(this.#noise.serverHello(frame));
    } else {
      const hello = this.#noise.clientFinish(frame);
      clearTimeout(this.#handshakeTimer);
      if (hello.payload.devicePairingData) this.registration = new Registration(this, hello);
      else login(this, hello);
    }
  }

  #onClose(): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#heldTimer);
    this.world.connections.delete(this);
    this.registration?.end();
    if (this.companion?.connection === this) this.companion.connection = undefined;
  }
}

/** The same stanza with ciphertexts that fail their check. */
function corrupted(stanza: BinaryNode): BinaryNode {
  if (!Array.isArray(stanza.content)) return stanza;
  const content = stanza.content.map((child) => {
    if (child.tag !== "enc" || !(child.content instanceof Uint8Array)) return child;
    const bytes = Buffer.from(child.content);
    bytes[bytes.length - 1]! ^= 0xff;
    return { ...child, content: bytes };
  });
  return { ...stanza, content };
}
