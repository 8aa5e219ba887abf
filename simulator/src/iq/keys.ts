// `encrypt`: the companion's own pre-keys and the bundles of others.
import type { Companion } from "../companion.ts";
import { parseJid } from "../jid.ts";
import type { PreKeyBundle } from "../libsignal.ts";
import { type BinaryNode, child, children, childUint, node, requireBytes, uint } from "../nodes.ts";
import type { World } from "../world.ts";
import { type Handlers, RequestError } from "./requests.ts";

const KEY_TYPE = Buffer.from([5]);
const PRE_KEY_ID_BYTES = 3;

export const keyHandlers: Handlers = {
  "encrypt/count": ({ companion }) => [node("count", { value: String(companion!.preKeys.size) })],

  // The upload starts with the registration id and repeats all public keys.
  "encrypt/registration": ({ companion, world }, request) => {
    setSignedPreKey(companion!, child(request, "skey")!);
    for (const key of children(child(request, "list"), "key")) {
      companion!.preKeys.set(childUint(key, "id"), requireBytes(key, "value"));
    }
    world.onChange();
    return undefined;
  },

  "encrypt/digest": ({ companion }) => {
    const { keys, preKeys } = companion!;
    return [
      node("digest", {}, [
        node("registration", {}, uint(keys.registrationId, 4)),
        node("type", {}, KEY_TYPE),
        node("identity", {}, keys.identityKey),
        signedPreKeyNode(keys.signedPreKey),
        node(
          "list",
          {},
          [...preKeys.keys()].map((id) => node("id", {}, uint(id, PRE_KEY_ID_BYTES))),
        ),
      ]),
    ];
  },

  "encrypt/rotate": ({ companion, world }, request) => {
    setSignedPreKey(companion!, child(child(request, "rotate"), "skey")!);
    world.onChange();
    return undefined;
  },

  "encrypt/key": ({ world }, request) => {
    const users = children(child(request, "key"), "user").map(({ attrs }) => bundleNode(world, attrs.jid!));
    return [node("list", {}, users)];
  },
};

function setSignedPreKey(companion: Companion, key: BinaryNode): void {
  companion.keys.signedPreKey = {
    keyId: childUint(key, "id"),
    publicKey: requireBytes(key, "value"),
    signature: requireBytes(key, "signature"),
  };
}

function findBundle(world: World, jid: string): PreKeyBundle {
  const account = world.findJid(jid);
  const device = parseJid(jid)?.device;
  if (account && device === 0) return account.device.bundle();
  const companion = device === undefined ? undefined : account?.companions.get(device);
  if (!companion) throw new RequestError(406, "not-acceptable");
  return companion.takeBundle();
}

function bundleNode(world: World, jid: string): BinaryNode {
  const { identityKey, preKey, registrationId, signedPreKey } = findBundle(world, jid);
  const content = [
    node("registration", {}, uint(registrationId, 4)),
    node("type", {}, KEY_TYPE),
    node("identity", {}, identityKey.subarray(1)),
    signedPreKeyNode({ ...signedPreKey, publicKey: signedPreKey.publicKey.subarray(1) }),
  ];
  if (preKey) {
    content.push(
      node("key", {}, [
        node("id", {}, uint(preKey.keyId, PRE_KEY_ID_BYTES)),
        node("value", {}, preKey.publicKey.subarray(1)),
      ]),
    );
  }
  return node("user", { jid }, content);
}

function signedPreKeyNode(key: { keyId: number; publicKey: Buffer; signature: Buffer }): BinaryNode {
  return node("skey", {}, [
    node("id", {}, uint(key.keyId, PRE_KEY_ID_BYTES)),
    node("value", {}, key.publicKey),
    node("signature", {}, key.signature),
  ]);
}
