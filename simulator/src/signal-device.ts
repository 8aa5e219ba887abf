// The Signal end of a device that lives in the simulator's process: the keys, the 1:1 sessions
// with companions and the sender keys of groups. No socket, no disk.
import { Curve, generateSignalPubKey, type KeyPair } from "baileys";
import {
  GroupCipher,
  GroupSessionBuilder,
  SenderKeyDistributionMessage,
  SenderKeyName,
  SenderKeyRecord,
} from "baileys/lib/Signal/Group/index.js";
import {
  libsignal,
  type PreKeyBundle,
  type ProtocolAddress,
  type SessionRecord,
  type SessionStorage,
  type SignalKeyPair,
} from "./libsignal.ts";

export type Ciphertext = { readonly type: "pkmsg" | "msg"; readonly body: Buffer };

/** What has to survive a restart for the device to stay the same device to its peers. */
export type DeviceKeys = {
  readonly registrationId: number;
  readonly identity: KeyPair;
  readonly signedPreKey: KeyPair;
};

const SIGNED_PRE_KEY_ID = 1;
const PRE_KEY_MESSAGE = 3;

export function createDeviceKeys(): DeviceKeys {
  return {
    registrationId: 1 + Math.floor(Math.random() * 16380),
    identity: Curve.generateKeyPair(),
    signedPreKey: Curve.generateKeyPair(),
  };
}

function signalPair(pair: KeyPair): SignalKeyPair {
  return {
    pubKey: Buffer.from(generateSignalPubKey(Buffer.from(pair.public))),
    privKey: Buffer.from(pair.private),
  };
}

/** Peers are named by the caller (any stable string without dots) and a device number. */
export class SignalDevice {
  readonly keys: DeviceKeys;
  readonly #name: string;
  readonly #sessions = new Map<string, SessionRecord>();
  readonly #senderKeys = new Map<string, SenderKeyRecord>();
  readonly #storage: SessionStorage;
  readonly #decryptStorage: SessionStorage;
  readonly #senderKeyStore = {
    loadSenderKey: async (name: SenderKeyName): Promise<SenderKeyRecord> => {
      const key = name.toString();
      let record = this.#senderKeys.get(key);
      if (!record) this.#senderKeys.set(key, (record = new SenderKeyRecord()));
      return record;
    },
    storeSenderKey: async (name: SenderKeyName, record: SenderKeyRecord): Promise<void> => {
      this.#senderKeys.set(name.toString(), record);
    },
  };
  #signature: Buffer | undefined;

  constructor(name: string, keys: DeviceKeys = createDeviceKeys()) {
    this.#name = name;
    this.keys = keys;
    const identity = signalPair(keys.identity);
    const signedPreKey = signalPair(keys.signedPreKey);
    this.#storage = {
      loadSession: (address) => this.#sessions.get(address),
      storeSession: (address, session) => void this.#sessions.set(address, session),
      isTrustedIdentity: () => true,
      loadPreKey: () => undefined,
      removePreKey: () => undefined,
      loadSignedPreKey: () => signedPreKey,
      getOurRegistrationId: () => keys.registrationId,
      getOurIdentity: () => identity,
    };
    // libsignal changes a session before it knows whether the message verifies, so decryption
    // works on a copy that is stored only on success; encryption cannot fail half-way and may
    // use the live object.
    this.#decryptStorage = {
      ...this.#storage,
      loadSession: (address) => {
        const session = this.#sessions.get(address);
        return session && libsignal.SessionRecord.deserialize(session.serialize());
      },
    };
  }

  /** The keys that others need to open a session with this device (no one-time pre-keys). */
  bundle(): PreKeyBundle {
    const publicKey = signalPair(this.keys.signedPreKey).pubKey;
    // Signing takes milliseconds of pure JavaScript: only for devices somebody writes to.
    this.#signature ??= Buffer.from(Curve.sign(this.keys.identity.private, publicKey));
    return {
      registrationId: this.keys.registrationId,
      identityKey: Buffer.from(generateSignalPubKey(Buffer.from(this.keys.identity.public))),
      signedPreKey: { keyId: SIGNED_PRE_KEY_ID, publicKey, signature: this.#signature },
    };
  }

  hasSession(peer: string, device: number): boolean {
    return this.#sessions.get(this.#address(peer, device).toString())?.haveOpenSession() ?? false;
  }

  /** As after a reinstallation: what comes next cannot be decrypted. */
  forgetSessions(): void {
    this.#sessions.clear();
  }

  async openSession(peer: string, device: number, bundle: PreKeyBundle): Promise<void> {
    await new libsignal.SessionBuilder(this.#storage, this.#address(peer, device)).initOutgoing(bundle);
  }

  async encrypt(peer: string, device: number, plaintext: Buffer): Promise<Ciphertext> {
    const cipher = new libsignal.SessionCipher(this.#storage, this.#address(peer, device));
    const { type, body } = await cipher.encrypt(plaintext);
    return { type: type === PRE_KEY_MESSAGE ? "pkmsg" : "msg", body };
  }

  async decrypt(peer: string, device: number, type: string, ciphertext: Buffer): Promise<Buffer> {
    const cipher = new libsignal.SessionCipher(this.#decryptStorage, this.#address(peer, device));
    if (type === "pkmsg") return cipher.decryptPreKeyWhisperMessage(ciphertext);
    if (type === "msg") return this.#decryptOnOneSession(peer, device, ciphertext);
    throw new Error(`unknown ciphertext type ${type}`);
  }

  /**
   * One session after the other, each on a record of its own: libsignal would step the ratchets of
   * those tried in vain, too, and keep them so.
   */
  async #decryptOnOneSession(peer: string, device: number, ciphertext: Buffer): Promise<Buffer> {
    const address = this.#address(peer, device);
    const record = this.#sessions.get(address.toString());
    let failure: unknown = new Error("no session");
    for (const [key, session] of Object.entries(record?.sessions ?? {})) {
      const { _sessions, version } = record!.serialize();
      const alone = libsignal.SessionRecord.deserialize({ _sessions: { [key]: _sessions[key] }, version });
      const storage: SessionStorage = {
        ...this.#storage,
        loadSession: () => alone,
        storeSession: () => {
          record!.sessions[key] = alone.sessions[key] ?? session;
        },
      };
      try {
        return await new libsignal.SessionCipher(storage, address).decryptWhisperMessage(ciphertext);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** This device's sender key of a group, made on first use, as others must process it. */
  async senderKeyDistribution(group: string): Promise<Uint8Array> {
    const builder = new GroupSessionBuilder(this.#senderKeyStore);
    return (await builder.create(this.#senderKeyName(group, this.#name, 0))).serialize();
  }

  async encryptForGroup(group: string, plaintext: Buffer): Promise<Uint8Array> {
    const name = this.#senderKeyName(group, this.#name, 0);
    return new GroupCipher(this.#senderKeyStore, name).encrypt(plaintext);
  }

  async processSenderKey(group: string, peer: string, device: number, message: Uint8Array): Promise<void> {
    const distribution = new SenderKeyDistributionMessage(null, null, null, null, message);
    const name = this.#senderKeyName(group, peer, device);
    // The same key is distributed again with every retry; a second copy would reset its chain.
    const record = await this.#senderKeyStore.loadSenderKey(name);
    if (record.getSenderKeyState(distribution.getId())) return;
    await new GroupSessionBuilder(this.#senderKeyStore).process(name, distribution);
  }

  async decryptFromGroup(group: string, peer: string, device: number, ciphertext: Buffer): Promise<Buffer> {
    const cipher = new GroupCipher(this.#senderKeyStore, this.#senderKeyName(group, peer, device));
    return Buffer.from(await cipher.decrypt(ciphertext));
  }

  // libsignal serialises by address across the whole process: the own name keeps devices apart.
  #address(peer: string, device: number): ProtocolAddress {
    return new libsignal.ProtocolAddress(`${this.#name}>${peer}`, device);
  }

  #senderKeyName(group: string, peer: string, device: number): SenderKeyName {
    return new SenderKeyName(group, { id: peer, deviceId: device, toString: () => `${peer}.${device}` });
  }
}
