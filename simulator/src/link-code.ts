// Pairing by code: the server relays, the phone's owner types the eight characters.
import { randomBytes } from "node:crypto";
import { aesDecryptCTR, aesDecryptGCM, aesEncryptCTR, Curve, derivePairingCodeKey, hkdf, type KeyPair } from "baileys";
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import { type BinaryNode, child, node, requireBytes, SERVER_JID } from "./nodes.ts";
import type { Registration } from "./registration.ts";
import { ConflictError, stanzaId } from "./world.ts";

const SALT_BYTES = 32;
const IV_BYTES = 16;
const NONCE_BYTES = 12;
const KEY_BYTES = 32;
const CODE_LENGTH = 8;
const FINISH_DEADLINE_MS = 10_000;

/** The state of one exchange: opened by the client's hello, finished by the phone's owner. */
export class LinkCode {
  /** Number of the account that the client asked to be linked to. */
  readonly number: string;
  readonly reference = randomBytes(32);
  readonly #registration: Registration;
  readonly #wrappedEphemeral: Buffer;
  #finish: ((bundle: Buffer) => void) | undefined;

  constructor(registration: Registration, number: string, hello: BinaryNode) {
    this.number = number;
    this.#registration = registration;
    this.#wrappedEphemeral = requireBytes(hello, "link_code_pairing_wrapped_companion_ephemeral_pub");
  }

  /** The owner types the code; resolves when the client is a companion of the account. */
  async enter(account: Account, typed: string): Promise<Companion> {
    const code = typed.replace(/[\s-]/g, "").toUpperCase();
    if (code.length !== CODE_LENGTH) throw new RangeError(`a pairing code has ${CODE_LENGTH} characters`);
    if (this.#finish) throw new ConflictError("a code is being tried already");
    const companionEphemeral = await unwrap(code, this.#wrappedEphemeral);
    const ephemeral = Curve.generateKeyPair();
    const bundle = await this.#exchange(account, await wrap(code, ephemeral.public));
    const shared = Curve.sharedKey(ephemeral.private, companionEphemeral);
    const advSecret = openBundle(bundle, shared, account.device.keys.identity);
    return this.#registration.pair(account, advSecret);
  }

  /** The client's second message; true if it belongs to this exchange. */
  onFinish(stanza: BinaryNode): boolean {
    if (!requireBytes(stanza, "link_code_pairing_ref").equals(this.reference)) return false;
    this.#finish?.(requireBytes(stanza, "link_code_pairing_wrapped_key_bundle"));
    return true;
  }

  async #exchange(account: Account, wrappedEphemeral: Buffer): Promise<Buffer> {
    const { connection } = this.#registration;
    const attrs = { id: stanzaId(), from: SERVER_JID, type: "link_code_companion_reg", t: connection.world.timestamp() };
    const content = [
      node("link_code_pairing_ref", {}, this.reference),
      node("primary_identity_pub", {}, account.device.keys.identity.public),
      node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrappedEphemeral),
    ];
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("the client did not finish")), FINISH_DEADLINE_MS);
        this.#finish = (bundle) => (clearTimeout(timer), resolve(bundle));
        connection.send(
          node("notification", attrs, [node("link_code_companion_reg", { stage: "primary_hello" }, content)]),
        );
      });
    } finally {
      this.#finish = undefined;
    }
  }
}

/** The client opens the exchange: `<link_code_companion_reg stage="companion_hello">`. */
export function onCompanionHello(registration: Registration, request: BinaryNode): BinaryNode {
  const hello = child(request, "link_code_companion_reg")!;
  const number = (hello.attrs.jid ?? "").split("@")[0]!;
  const linkCode = new LinkCode(registration, number, hello);
  registration.linkCode = linkCode;
  return node("link_code_companion_reg", { stage: "companion_hello" }, [
    node("link_code_pairing_ref", {}, linkCode.reference),
  ]);
}

export function onCompanionFinish(registration: Registration, request: BinaryNode): boolean {
  return registration.linkCode?.onFinish(child(request, "link_code_companion_reg")!) ?? false;
}

async function unwrap(code: string, wrapped: Buffer): Promise<Buffer> {
  const key = await derivePairingCodeKey(code, wrapped.subarray(0, SALT_BYTES));
  const iv = wrapped.subarray(SALT_BYTES, SALT_BYTES + IV_BYTES);
  return aesDecryptCTR(wrapped.subarray(SALT_BYTES + IV_BYTES), key, iv);
}

async function wrap(code: string, publicKey: Uint8Array): Promise<Buffer> {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(IV_BYTES);
  const key = await derivePairingCodeKey(code, salt);
  return Buffer.concat([salt, iv, aesEncryptCTR(publicKey, key, iv)]);
}

/** Opens the client's key bundle and derives the ADV secret; fails when the code was wrong. */
function openBundle(bundle: Buffer, shared: Buffer, identity: KeyPair): Uint8Array {
  const salt = bundle.subarray(0, SALT_BYTES);
  const nonce = bundle.subarray(SALT_BYTES, SALT_BYTES + NONCE_BYTES);
  const key = hkdf(shared, KEY_BYTES, { salt, info: "link_code_pairing_key_bundle_encryption_key" });
  let opened: Buffer;
  try {
    opened = aesDecryptGCM(bundle.subarray(SALT_BYTES + NONCE_BYTES), key, nonce, Buffer.alloc(0));
  } catch {
    throw new ConflictError("wrong pairing code");
  }
  const companionIdentity = opened.subarray(0, KEY_BYTES);
  const random = opened.subarray(2 * KEY_BYTES, 3 * KEY_BYTES);
  const identityShared = Curve.sharedKey(identity.private, companionIdentity);
  return hkdf(Buffer.concat([shared, identityShared, random]), KEY_BYTES, { info: "adv_secret" });
}
