// Baileys' own libsignal, wherever the package manager put it, with the types used here.
import { createRequire } from "node:module";

export type SignalKeyPair = { pubKey: Buffer; privKey: Buffer };

export type PreKeyBundle = {
  registrationId: number;
  identityKey: Buffer;
  signedPreKey: { keyId: number; publicKey: Buffer; signature: Buffer };
  preKey?: { keyId: number; publicKey: Buffer };
};

export interface SessionRecord {
  readonly sessions: Record<string, unknown>;
  serialize(): { _sessions: Record<string, unknown>; version: string };
  haveOpenSession(): boolean;
}

export interface SessionStorage {
  loadSession(address: string): SessionRecord | undefined;
  storeSession(address: string, session: SessionRecord): void;
  isTrustedIdentity(): boolean;
  loadPreKey(id: number | undefined): SignalKeyPair | undefined;
  removePreKey(id: number): void;
  loadSignedPreKey(): SignalKeyPair;
  getOurRegistrationId(): number;
  getOurIdentity(): SignalKeyPair;
}

export interface ProtocolAddress {
  toString(): string;
}

interface SessionCipher {
  encrypt(plaintext: Buffer): Promise<{ type: number; body: Buffer }>;
  decryptPreKeyWhisperMessage(ciphertext: Buffer): Promise<Buffer>;
  decryptWhisperMessage(ciphertext: Buffer): Promise<Buffer>;
}

interface LibSignal {
  ProtocolAddress: new (id: string, device: number) => ProtocolAddress;
  SessionCipher: new (storage: SessionStorage, address: ProtocolAddress) => SessionCipher;
  SessionBuilder: new (
    storage: SessionStorage,
    address: ProtocolAddress,
  ) => { initOutgoing(bundle: PreKeyBundle): Promise<void> };
  SessionRecord: { deserialize(serialized: unknown): SessionRecord };
}

const requireFromBaileys = createRequire(import.meta.resolve("baileys"));

export const libsignal = requireFromBaileys("libsignal") as LibSignal;
