/** Sends messages, one at a time and in the order asked for. */

import { isJidGroup, proto } from "baileys";
import type { WAMessageContent } from "baileys";

import { passed } from "../failpoints.ts";
import { errorMessage } from "../log.ts";
import { composeMedia } from "../media/content.ts";
import { RequestError } from "../protocol.ts";
import type { SendContent } from "../protocol.ts";
import { composePlain, stanzaAttributes, stanzaNodes } from "./content.ts";
import { DeadlineExceeded, within } from "./deadline.ts";
import type { GroupCache } from "./groups.ts";
import type { Socket } from "./socket.ts";
import type { Store } from "./store.ts";

const SEND_DEADLINE_MS = 60_000;
const MAX_WAITING = 256;
const PERMANENT_CODES = new Set([400, 401, 403, 404, 405, 406]);

export interface Outgoing {
  readonly messageId: string;
  readonly to: string;
  readonly content: SendContent;
}

export class Sender {
  readonly #store: Store;
  readonly #groups: GroupCache;
  readonly #socket: () => Socket | null;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(
    store: Store,
    groups: GroupCache,
    socket: () => Socket | null,
  ) {
    this.#store = store;
    this.#groups = groups;
    this.#socket = socket;
  }

  /** Resolves when the frame was written to WhatsApp; raises RequestError. */
  send(message: Outgoing): Promise<{ timestamp: number }> {
    if (this.#waiting >= MAX_WAITING) {
      throw new RequestError("busy", "too many messages are waiting to be sent", true);
    }
    this.#waiting += 1;
    const turn = this.#last.then(() => this.#deliver(message));
    this.#last = turn
      .catch(() => undefined)
      .finally(() => {
        this.#waiting -= 1;
      });
    return turn;
  }

  async #deliver(message: Outgoing): Promise<{ timestamp: number }> {
    const sock = this.#socket();
    if (sock === null) throw new RequestError("not_connected", "WhatsApp is not connected", true);
    try {
      await within(SEND_DEADLINE_MS, this.#relay(sock, message), "send");
    } catch (error) {
      if (error instanceof DeadlineExceeded) {
        throw new RequestError("timeout", error.message, true);
      }
      const reason = refusedWith(error);
      const permanent = PERMANENT_CODES.has(reason ?? statusOf(error));
      throw new RequestError("send_failed", errorMessage(error), !permanent, reason);
    }
    passed("sent-before-reply");
    return { timestamp: Math.floor(Date.now() / 1000) };
  }

  async #relay(sock: Socket, { messageId, to, content }: Outgoing): Promise<void> {
    if (isJidGroup(to)) await this.#groups.prepare(sock, to);
    const stored = this.#store.sent(messageId);
    const message =
      stored === null
        ? compose(sock, to, content)
        : proto.Message.decode(stored);
    // Kept before it is sent: a recipient's retry receipt may arrive before the next line runs.
    if (stored === null) {
      this.#store.storeSent(messageId, proto.Message.encode(message).finish());
    }
    passed("stored-before-send");
    await sock.relayMessage(to, message, {
      messageId,
      additionalAttributes: stanzaAttributes(message),
      additionalNodes: stanzaNodes(message),
    });
  }
}

function compose(sock: Socket, to: string, content: SendContent): WAMessageContent {
  const me = sock.user?.id ?? "";
  return "upload" in content ? composeMedia(to, content, me) : composePlain(to, content, me);
}

/** WhatsApp's own number for a query that it refused (no such group, not a member, …), as Baileys tells it. */
function refusedWith(error: unknown): number | undefined {
  const { data } = error as { data?: unknown };
  return typeof data === "number" && Number.isInteger(data) ? data : undefined;
}

/** How Baileys itself judges what it cannot send. */
function statusOf(error: unknown): number {
  return (error as { output?: { statusCode?: number } }).output?.statusCode ?? 0;
}
