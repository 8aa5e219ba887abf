/** Signal parties in the test's own process: one whose store is ours, one to talk to it. */

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  DEFAULT_CONNECTION_CONFIG,
  addTransactionCapability,
  generateSignalPubKey,
  initAuthCreds,
} from "baileys";
import type {
  AuthenticationCreds,
  BinaryNode,
  SignalKeyStoreWithTransaction,
  SocketConfig,
} from "baileys";

import { signalKeyStore } from "../../src/session/keys.ts";
import { Store } from "../../src/session/store.ts";

export type Repository = ReturnType<SocketConfig["makeSignalRepository"]>;
type MakeRepository = SocketConfig["makeSignalRepository"];

const quiet = (): void => undefined;
export const logger = {
  level: "silent",
  child: () => logger,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
};

export function temporaryStore(directory = mkdtempSync(join(tmpdir(), "store-"))): Store {
  return new Store(join(directory, "connection.sqlite"), (error) => {
    throw error;
  });
}

export class Party {
  readonly jid: string;
  readonly store: Store;
  readonly creds: AuthenticationCreds = initAuthCreds();
  readonly keys: SignalKeyStoreWithTransaction;
  readonly repository: Repository;

  constructor(
    jid: string,
    make: (store: Store) => MakeRepository = () => DEFAULT_CONNECTION_CONFIG.makeSignalRepository,
    store = temporaryStore(),
  ) {
    this.jid = jid;
    this.store = store;
    this.keys = addTransactionCapability(signalKeyStore(store, { alive: true }), logger, {
      maxCommitRetries: 1,
      delayBetweenTriesMs: 1,
    });
    this.repository = make(store)({ creds: this.creds, keys: this.keys }, logger);
  }

  /** Begin a session towards another party, from its key bundle. */
  async greet(other: Party): Promise<void> {
    const { signedPreKey, signedIdentityKey, registrationId } = other.creds;
    await this.repository.injectE2ESession({
      jid: other.jid,
      session: {
        registrationId,
        identityKey: generateSignalPubKey(signedIdentityKey.public),
        signedPreKey: {
          keyId: signedPreKey.keyId,
          publicKey: generateSignalPubKey(signedPreKey.keyPair.public),
          signature: signedPreKey.signature,
        },
      },
    });
  }

  /** A message stanza to the other party, as WhatsApp would deliver it. */
  async stanza(to: Party, id: string, body: Uint8Array): Promise<BinaryNode> {
    const { type, ciphertext } = await this.repository.encryptMessage({ jid: to.jid, data: body });
    return messageStanza(this.jid, id, [{ type, content: ciphertext }]);
  }
}

export function messageStanza(
  from: string,
  id: string,
  encs: { type: string; content: Uint8Array }[],
  more: Record<string, string> = {},
): BinaryNode {
  return {
    tag: "message",
    attrs: { from, id, type: "text", t: "1700000000", notify: "Ana", ...more },
    content: encs.map(({ type, content }) => ({
      tag: "enc",
      attrs: { v: "2", type },
      content,
    })),
  };
}
