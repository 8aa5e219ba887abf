/**
 * Whether the server of a Noise handshake is the one that its certificate names. Baileys checks the
 * chain up to WhatsApp's root, but not that the server's key is the one in the leaf: whoever copied
 * the chain (every client is shown it) could answer in WhatsApp's place, log a device out, and be
 * believed. What is checked here comes before Baileys goes on.
 */

import { Curve, NOISE_MODE, NOISE_WA_HEADER, aesDecryptGCM, hkdf, proto, sha256 } from "baileys";
import type { KeyPair } from "baileys";

/** Make a socket, and tell the key pair that it says hello with: Baileys makes that first, and keeps it. */
export function withHelloKey<T>(make: () => T): { made: T; helloKey: KeyPair | null } {
  const generate = Curve.generateKeyPair;
  let helloKey: KeyPair | null = null;
  Curve.generateKeyPair = () => {
    const pair = generate();
    helloKey ??= pair;
    return pair;
  };
  try {
    return { made: make(), helloKey };
  } finally {
    Curve.generateKeyPair = generate;
  }
}

/** Whether the server hello (a handshake frame as it came) was made with the key of its leaf certificate. */
export function isProven(frame: Uint8Array, helloKey: KeyPair): boolean {
  try {
    const { serverHello } = proto.HandshakeMessage.decode(frame);
    const { ephemeral, static: sealedKey, payload } = serverHello!;
    const handshake = new Handshake();
    handshake.mix(NOISE_WA_HEADER);
    handshake.mix(helloKey.public);
    handshake.mix(ephemeral!);
    handshake.agree(helloKey.private, ephemeral!);
    const serverKey = handshake.open(sealedKey!);
    handshake.agree(helloKey.private, serverKey);
    const { leaf } = proto.CertChain.decode(handshake.open(payload!));
    const { key } = proto.CertChain.NoiseCertificate.Details.decode(leaf!.details!);
    return serverKey.equals(key!);
  } catch {
    return false;
  }
}

/** The initiator's half of Noise XX up to the server's certificate. */
class Handshake {
  #hash: Uint8Array = Buffer.from(NOISE_MODE);
  #salt: Uint8Array = this.#hash;
  #key: Uint8Array = this.#hash;

  mix(data: Uint8Array): void {
    this.#hash = sha256(Buffer.concat([this.#hash, data]));
  }

  agree(ours: Uint8Array, theirs: Uint8Array): void {
    const secret = Curve.sharedKey(ours, theirs);
    const keys = hkdf(secret, 64, { salt: Buffer.from(this.#salt), info: "" });
    [this.#salt, this.#key] = [keys.subarray(0, 32), keys.subarray(32)];
  }

  /** Each key opens one thing only, so the counter stays at its start. */
  open(sealed: Uint8Array): Buffer {
    const plain = aesDecryptGCM(sealed, this.#key, new Uint8Array(12), this.#hash);
    this.mix(sealed);
    return plain;
  }
}
