/**
 * The receipt gate: a plaintext and the ratchet step that produced it are written in one SQLite
 * transaction before Baileys gets the plaintext, and no frame leaves before that is committed
 * (held-writes.ts), hence no receipt.
 *
 * It wraps Baileys' own Signal repository. For decryption it opens the key transaction itself and
 * adds the plaintext to it; Baileys' inner transaction joins. A ciphertext seen before is answered
 * from the buffer. Everything else of the repository runs outside the caller's transaction, so
 * that a sending ratchet is on disk before the frame is sent (Baileys' send transaction commits
 * only afterwards) and sending cannot overwrite what receiving has just stored. What touches the
 * session of one person takes turns: Baileys locks by the address as it is spelled, and the phone
 * number and the LID of a person lead to the same session.
 */

import { AsyncLocalStorage } from "node:async_hooks";

import {
  DEFAULT_CONNECTION_CONFIG,
  isJidGroup,
  isJidStatusBroadcast,
  isPnUser,
  jidDecode,
  proto,
} from "baileys";
import { unpadRandomMax16 } from "baileys";
import type { SignalKeyStoreWithTransaction, SocketConfig } from "baileys";

import { bug } from "../fatal.ts";
import { PLAINTEXT, SocketEnded } from "./keys.ts";
import type { Joined, StanzaJoin } from "./stanza-join.ts";
import type { Fill, InboundPlaintext, Store } from "./store.ts";
import { restoreTried } from "./trials.ts";
import type { SessionRecord } from "./trials.ts";
import { Turns } from "./turns.ts";

type MakeRepository = SocketConfig["makeSignalRepository"];
type Repository = ReturnType<MakeRepository>;
type DirectMessage = Parameters<Repository["decryptMessage"]>[0];

/** An empty message in WhatsApp's padding: makes Baileys send the receipt and nothing else. */
const EMPTY_MESSAGE = Buffer.from([1]);

export interface GateOptions {
  readonly store: Store;
  readonly join: StanzaJoin;
  /** Earlier stubs that the plaintext of a peer message fills. */
  readonly fillsOf: (joined: Joined, plaintext: Uint8Array) => Fill[];
  /** Called after the plaintext of a peer message was stored. */
  readonly onPeer: (inboundId: number) => void;
  /** A ciphertext could not be decrypted (this time). */
  readonly onDecryptFailure: () => void;
}

/** `makeSignalRepository` for the socket configuration. */
export function gatedRepository(options: GateOptions): MakeRepository {
  return (auth, logger, pnToLIDFunc) => {
    const inner = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, logger, pnToLIDFunc);
    const keys = auth.keys as SignalKeyStoreWithTransaction;
    const outside = AsyncLocalStorage.snapshot();
    const { store, join } = options;
    keepMappings(inner, outside);
    const turns = new Turns();

    /** With the session of the person at this address; a lookup of its LID is made before. */
    const alone = <T>(jid: string, work: () => Promise<T>): Promise<T> =>
      outside(async () => {
        const person = jidDecode(await lidOf(jid))?.user ?? jid;
        return turns.take(person, work);
      });
    const lidOf = async (jid: string): Promise<string> => {
      if (!isPnUser(jid)) return jid;
      return (await inner.lidMapping.getLIDForPN(jid)) ?? jid;
    };

    const decrypt = async (
      ciphertext: Uint8Array,
      lock: string,
      inTransaction: () => Promise<Uint8Array>,
    ): Promise<Uint8Array> => {
      const joined = join.find(ciphertext);
      if (joined === null) return bug(new Error("ciphertext without its stanza"));
      const buffered = store.plaintext(joined.hash);
      if (buffered !== null) return buffered === "erased" ? EMPTY_MESSAGE : buffered;
      let plaintext: Uint8Array;
      try {
        plaintext = await alone(lock, () =>
          keys.transaction(async () => {
            const body = await inTransaction();
            await distributeSenderKey(joined, body);
            const record: InboundPlaintext = {
              inbound: joined.inbound,
              hash: joined.hash,
              body,
              fills: joined.inbound.peer ? options.fillsOf(joined, body) : [],
            };
            const entry = { [PLAINTEXT]: { [joined.hash.toString("hex")]: record } };
            await keys.set(entry as Parameters<typeof keys.set>[0]);
            return body;
          }, lock),
        );
      } catch (error) {
        if (!(error instanceof SocketEnded)) {
          store.storeFailure(joined.inbound);
          options.onDecryptFailure();
        }
        throw error;
      }
      if (joined.inbound.peer) options.onPeer(store.inboundIdOf(joined.inbound.identity)!);
      return plaintext;
    };

    const decryptDirect = async (args: DirectMessage): Promise<Uint8Array> => {
      if (args.type !== "msg") return inner.decryptMessage(args);
      const address = inner.jidToSignalProtocolAddress(await lidOf(args.jid));
      const before = await sessionsAt(address);
      const body = await inner.decryptMessage(args);
      if (Object.keys(before?._sessions ?? {}).length < 2) return body;
      const after = await sessionsAt(address);
      if (before && after) {
        const mended = restoreTried(before, after);
        await keys.set({ session: { [address]: mended as unknown as Uint8Array } });
      }
      return body;
    };

    const sessionsAt = async (address: string): Promise<SessionRecord | undefined> => {
      const { [address]: record } = await keys.get("session", [address]);
      return record as unknown as SessionRecord | undefined;
    };

    /** A group's sender key belongs to the commit of the message that brought it. */
    const distributeSenderKey = async (joined: Joined, body: Uint8Array): Promise<void> => {
      const { from, participant } = joined.node.attrs;
      if (participant === undefined || !(isJidGroup(from) || isJidStatusBroadcast(from!))) return;
      const item = decodePadded(body)?.senderKeyDistributionMessage;
      if (item) await addSenderKey({ item, authorJid: participant });
    };

    /**
     * Baileys adds a state for each distribution, at most five, even if it has that very key:
     * repeats would shift the live one out and rewind it, so a known key is left alone.
     */
    const addSenderKey: Repository["processSenderKeyDistributionMessage"] = async (message) => {
      const { item, authorJid } = message;
      const bytes = item.axolotlSenderKeyDistributionMessage;
      if (item.groupId && bytes && (await knowsSenderKey(item.groupId, authorJid, bytes))) return;
      await inner.processSenderKeyDistributionMessage(message);
    };

    const knowsSenderKey = async (
      group: string,
      author: string,
      bytes: Uint8Array,
    ): Promise<boolean> => {
      const address = inner.jidToSignalProtocolAddress(author);
      const device = address.lastIndexOf(".");
      const id = `${group}::${address.slice(0, device)}::${address.slice(device + 1)}`;
      const { [id]: record } = await keys.get("sender-key", [id]);
      if (!record) return false;
      const { id: keyId } = proto.SenderKeyDistributionMessage.decode(bytes.subarray(1));
      const states = JSON.parse(Buffer.from(record).toString()) as { senderKeyId?: number }[];
      return states.some((state) => state.senderKeyId === keyId);
    };

    return {
      ...inner,
      decryptMessage: (args) =>
        decrypt(args.ciphertext, args.jid, () => decryptDirect(args)),
      decryptGroupMessage: (args) =>
        decrypt(args.msg, args.group, () => inner.decryptGroupMessage(args)),
      processSenderKeyDistributionMessage: (args) => outside(() => addSenderKey(args)),
      encryptMessage: (args) => alone(args.jid, () => inner.encryptMessage(args)),
      encryptGroupMessage: (args) => outside(() => inner.encryptGroupMessage(args)),
      getSenderKeyDistributionMessage: (args) =>
        outside(() => inner.getSenderKeyDistributionMessage(args)),
      hasSenderKey: (args) => outside(() => inner.hasSenderKey(args)),
      injectE2ESession: (args) => alone(args.jid, () => inner.injectE2ESession(args)),
      getSessionInfo: (jid) => outside(() => inner.getSessionInfo(jid)),
      validateSession: (jid) => outside(() => inner.validateSession(jid)),
      deleteSession: (jids) => outside(() => inner.deleteSession(jids)),
      migrateSession: (from, to) => alone(to, () => inner.migrateSession(from, to)),
    };
  };
}

/**
 * Baileys remembers a LID mapping as stored though the transaction around it (a send that fails, a
 * message that cannot be decrypted) may be rolled back. The next socket would not know it, make a
 * session under the phone number, and put that over the live one once it learned the mapping.
 */
function keepMappings(inner: Repository, outside: <T>(work: () => T) => T): void {
  const mapping = inner.lidMapping;
  const store = mapping.storeLIDPNMappings.bind(mapping);
  mapping.storeLIDPNMappings = (pairs) => outside(() => store(pairs));
}

/** The message in a decrypted, padded plaintext, or null when it is none. */
export function decodePadded(body: Uint8Array): proto.IMessage | null {
  try {
    const message = proto.Message.decode(unpadRandomMax16(body));
    return message.deviceSentMessage?.message ?? message;
  } catch {
    return null;
  }
}
