// A companion device: what the server knows about a paired client.
import type { Account } from "./account.ts";
import type { Connection } from "./connection.ts";
import { DeliveryQueue, type StanzaClass } from "./delivery-queue.ts";
import { lidJid, pnJid } from "./jid.ts";
import type { PreKeyBundle } from "./libsignal.ts";
import type { BinaryNode } from "./nodes.ts";

export type SignedPreKey = {
  readonly keyId: number;
  readonly publicKey: Buffer;
  readonly signature: Buffer;
};

/** The public keys a client registers with; all keys are 32 bytes. */
export type CompanionKeys = {
  readonly noiseKey: Buffer;
  readonly identityKey: Buffer;
  readonly registrationId: number;
  signedPreKey: SignedPreKey;
};

const KEY_TYPE = Buffer.from([5]);

export class Companion {
  readonly account: Account;
  readonly device: number;
  readonly keys: CompanionKeys;
  readonly platform: string;
  /** One-time pre-keys by id, handed out once each. */
  readonly preKeys = new Map<number, Buffer>();
  readonly queue = new DeliveryQueue();
  connection: Connection | undefined;
  /** True once the phone has sent the app-state key and the history. */
  bootstrapped = false;

  constructor(account: Account, device: number, keys: CompanionKeys, platform: string) {
    this.account = account;
    this.device = device;
    this.keys = keys;
    this.platform = platform;
  }

  get lidJid(): string {
    return lidJid(this.account.lid, this.device);
  }

  get pnJid(): string {
    return pnJid(this.account.number, this.device);
  }

  /** Keys for a new session with this device; uses up a one-time pre-key while there are any. */
  takeBundle(): PreKeyBundle {
    const { registrationId, identityKey, signedPreKey } = this.keys;
    const bundle: PreKeyBundle = {
      registrationId,
      identityKey: Buffer.concat([KEY_TYPE, identityKey]),
      signedPreKey: {
        keyId: signedPreKey.keyId,
        publicKey: Buffer.concat([KEY_TYPE, signedPreKey.publicKey]),
        signature: signedPreKey.signature,
      },
    };
    const oneTime = this.preKeys.entries().next();
    if (!oneTime.done) {
      const [keyId, publicKey] = oneTime.value;
      this.preKeys.delete(keyId);
      bundle.preKey = { keyId, publicKey: Buffer.concat([KEY_TYPE, publicKey]) };
      this.connection?.preKeyTaken();
    }
    return bundle;
  }

  /** Queues a stanza and sends it at once when the companion is there to take it. */
  deliver(stanzaClass: StanzaClass, stanza: BinaryNode, peer = false): void {
    this.queue.add(stanzaClass, stanza, peer);
    this.connection?.pump();
  }
}
