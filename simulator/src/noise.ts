// The responder's side of Noise_XX_25519_AESGCM_SHA256 as WhatsApp frames it: an intro header,
// then frames with a three-byte big-endian length.
import { aesDecryptGCM, aesEncryptGCM, Curve, hkdf, NOISE_MODE, NOISE_WA_HEADER, proto, sha256 } from "baileys";
import type { ServerIdentity } from "./root-key.ts";

const EMPTY = Buffer.alloc(0);
const ROUTING_PREFIX = "ED";
const LENGTH_BYTES = 3;

/** Largest frame accepted from a client; a 3-byte length could announce 16 MiB. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;

function nonce(counter: number): Uint8Array {
  const iv = Buffer.alloc(12);
  iv.writeUInt32BE(counter, 8);
  return iv;
}

/** What the client proved about itself: its static key and its login or registration payload. */
export type ClientHello = { readonly noiseKey: Buffer; readonly payload: proto.ClientPayload };

/** One connection's Noise state: first the handshake, then the transport ciphers. */
export class NoiseResponder {
  readonly #identity: ServerIdentity;
  readonly #ephemeral = Curve.generateKeyPair();
  #hash = Buffer.from(NOISE_MODE);
  #salt: Uint8Array = this.#hash;
  #key: Uint8Array = this.#hash;
  #counter = 0;
  #readKey: Uint8Array | undefined;
  #writeKey: Uint8Array | undefined;
  #readCounter = 0;
  #writeCounter = 0;
  #input: Buffer = EMPTY;
  #introSeen = false;

  constructor(identity: ServerIdentity) {
    this.#identity = identity;
    this.#mixHash(NOISE_WA_HEADER);
  }

  get established(): boolean {
    return this.#readKey !== undefined;
  }

  /** Takes bytes from the socket, returns the complete frames in them, still encrypted. */
  receive(data: Buffer): Buffer[] {
    this.#input = this.#input.length === 0 ? data : Buffer.concat([this.#input, data]);
    if (!this.#introSeen && !this.#readIntro()) return [];
    const frames: Buffer[] = [];
    while (this.#input.length >= LENGTH_BYTES) {
      const size = this.#input.readUIntBE(0, LENGTH_BYTES);
      if (size > MAX_FRAME_BYTES) throw new Error(`frame of ${size} bytes is too large`);
      if (this.#input.length < LENGTH_BYTES + size) break;
      frames.push(this.#input.subarray(LENGTH_BYTES, LENGTH_BYTES + size));
      this.#input = this.#input.subarray(LENGTH_BYTES + size);
    }
    return frames;
  }

  /** Answers the client's hello: the framed server hello. */
  serverHello(frame: Buffer): Buffer {
    const clientEphemeral = proto.HandshakeMessage.decode(frame).clientHello?.ephemeral;
    if (!clientEphemeral) throw new Error("handshake without a client ephemeral key");
    this.#mixHash(clientEphemeral);
    this.#mixHash(this.#ephemeral.public);
    this.#mixKey(Curve.sharedKey(this.#ephemeral.private, clientEphemeral));
    const encryptedStatic = this.#encrypt(this.#identity.keyPair.public);
    this.#mixKey(Curve.sharedKey(this.#identity.keyPair.private, clientEphemeral));
    const payload = this.#encrypt(this.#identity.certificateChain);
    const hello = proto.HandshakeMessage.encode({
      serverHello: { ephemeral: this.#ephemeral.public, static: encryptedStatic, payload },
    }).finish();
    return frameOf(hello);
  }

  /** Reads the client's finish and switches to the transport ciphers. */
  clientFinish(frame: Buffer): ClientHello {
    const finish = proto.HandshakeMessage.decode(frame).clientFinish;
    if (!finish?.static || !finish.payload) throw new Error("handshake without a client finish");
    const noiseKey = this.#decrypt(finish.static);
    this.#mixKey(Curve.sharedKey(this.#ephemeral.private, noiseKey));
    const payload = proto.ClientPayload.decode(this.#decrypt(finish.payload));
    const [read, write] = this.#expand(EMPTY);
    this.#readKey = read;
    this.#writeKey = write;
    return { noiseKey, payload };
  }

  decryptFrame(frame: Buffer): Buffer {
    return aesDecryptGCM(frame, this.#readKey!, nonce(this.#readCounter++), EMPTY);
  }

  encryptFrame(plaintext: Uint8Array): Buffer {
    return frameOf(aesEncryptGCM(plaintext, this.#writeKey!, nonce(this.#writeCounter++), EMPTY));
  }

  #readIntro(): boolean {
    let offset = 0;
    if (this.#input.toString("latin1", 0, 2) === ROUTING_PREFIX) {
      if (this.#input.length < 7) return false;
      offset = 7 + this.#input.readUIntBE(4, LENGTH_BYTES);
    }
    if (this.#input.length < offset + NOISE_WA_HEADER.length) return false;
    const header = this.#input.subarray(offset, offset + NOISE_WA_HEADER.length);
    if (!header.equals(NOISE_WA_HEADER)) throw new Error("not a WhatsApp client");
    this.#input = this.#input.subarray(offset + NOISE_WA_HEADER.length);
    this.#introSeen = true;
    return true;
  }

  #mixHash(data: Uint8Array): void {
    this.#hash = sha256(Buffer.concat([this.#hash, data])) as Buffer<ArrayBuffer>;
  }

  #expand(secret: Uint8Array): [Uint8Array, Uint8Array] {
    const keys = hkdf(Buffer.from(secret), 64, { salt: Buffer.from(this.#salt), info: "" });
    return [keys.subarray(0, 32), keys.subarray(32)];
  }

  #mixKey(secret: Uint8Array): void {
    [this.#salt, this.#key] = this.#expand(secret);
    this.#counter = 0;
  }

  #encrypt(plaintext: Uint8Array): Buffer {
    const sealed = aesEncryptGCM(plaintext, this.#key, nonce(this.#counter++), this.#hash);
    this.#mixHash(sealed);
    return sealed;
  }

  #decrypt(sealed: Uint8Array): Buffer {
    const plaintext = aesDecryptGCM(sealed, this.#key, nonce(this.#counter++), this.#hash);
    this.#mixHash(sealed);
    return plaintext;
  }
}

function frameOf(data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + data.byteLength);
  frame.writeUIntBE(data.byteLength, 0, LENGTH_BYTES);
  frame.set(data, LENGTH_BYTES);
  return frame;
}
