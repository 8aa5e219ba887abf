// A client that is not paired yet: it is offered QR references and may ask for a pairing code.
import { randomBytes } from "node:crypto";
import type { Account } from "./account.ts";
import { createDeviceIdentity, verifyDeviceSignature } from "./adv.ts";
import { Companion, type CompanionKeys } from "./companion.ts";
import type { Connection } from "./connection.ts";
import { announceDevices } from "./device-list.ts";
import type { LinkCode } from "./link-code.ts";
import { type BinaryNode, child, node, requireBytes, SERVER_JID } from "./nodes.ts";
import type { ClientHello } from "./noise.ts";
import { ConflictError, stanzaId } from "./world.ts";

const REFERENCES = 6;
const RESTART_REQUIRED = 515;
/** How long a client may take to confirm a pairing. */
const CONFIRM_DEADLINE_MS = 10_000;

export class Registration {
  readonly connection: Connection;
  readonly keys: CompanionKeys;
  readonly platform: string;
  readonly references: readonly string[];
  /** The pairing code exchange under way on this connection, if any. */
  linkCode: LinkCode | undefined;
  #confirm: { id: string; done: (reply: BinaryNode) => void; failed: (error: Error) => void } | undefined;

  constructor(connection: Connection, { noiseKey, payload }: ClientHello) {
    const data = payload.devicePairingData!;
    this.connection = connection;
    this.platform = payload.userAgent?.device ?? "unknown";
    this.keys = {
      noiseKey,
      identityKey: Buffer.from(data.eIdent!),
      registrationId: Buffer.from(data.eRegid!).readUInt32BE(0),
      signedPreKey: {
        keyId: Buffer.from(data.eSkeyId!).readUIntBE(0, 3),
        publicKey: Buffer.from(data.eSkeyVal!),
        signature: Buffer.from(data.eSkeySig!),
      },
    };
    this.references = Array.from({ length: REFERENCES }, () => `2@${randomBytes(48).toString("base64")}`);
    const refs = this.references.map((reference) => node("ref", {}, Buffer.from(reference)));
    connection.send(
      node("iq", { from: SERVER_JID, type: "set", id: stanzaId(), xmlns: "md" }, [node("pair-device", {}, refs)]),
    );
  }

  /** Makes the client a companion of the account; resolves when it has confirmed. */
  async pair(account: Account, advSecret: Uint8Array): Promise<Companion> {
    if (this.#confirm) throw new ConflictError("this client is being paired already");
    const { world } = this.connection;
    const device = account.nextDevice;
    account.nextDevice += 1;
    const companion = new Companion(account, device, this.keys, this.platform);
    const identity = createDeviceIdentity(account.device.keys.identity, this.keys.identityKey, device, advSecret);
    const id = stanzaId();
    const reply = await new Promise<BinaryNode>((done, failed) => {
      const timer = setTimeout(() => failed(new Error("the client did not confirm")), CONFIRM_DEADLINE_MS);
      this.#confirm = {
        id,
        done: (stanza) => (clearTimeout(timer), done(stanza)),
        failed: (error) => (clearTimeout(timer), failed(error)),
      };
      this.connection.send(
        node("iq", { from: SERVER_JID, type: "set", id, t: world.timestamp() }, [
          node("pair-success", {}, [
            node("device-identity", {}, identity.sealed),
            node("device", { jid: companion.pnJid, lid: companion.lidJid }),
            node("platform", { name: "android" }),
          ]),
        ]),
      );
    }).finally(() => (this.#confirm = undefined));
    const signed = requireBytes(child(reply, "pair-device-sign"), "device-identity");
    if (!verifyDeviceSignature(signed, identity, this.keys.identityKey)) {
      throw new Error("the client signed another identity");
    }
    account.companions.set(device, companion);
    world.onChange();
    announceDevices(account, "add", companion);
    this.connection.streamError(RESTART_REQUIRED);
    return companion;
  }

  /** An answer of the client; true if it was the confirmation awaited. */
  onReply(stanza: BinaryNode): boolean {
    if (this.#confirm?.id !== stanza.attrs.id) return false;
    this.#confirm?.done(stanza);
    return true;
  }

  end(): void {
    this.#confirm?.failed(new Error("the client went away"));
  }
}
