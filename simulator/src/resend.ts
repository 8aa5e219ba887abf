// A companion could not decrypt a message and asks for it again: same id, fresh session.
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import type { Content } from "./content.ts";
import type { SentMessage } from "./ledger.ts";
import type { PreKeyBundle } from "./libsignal.ts";
import { type BinaryNode, child, childUint, node, requireBytes } from "./nodes.ts";
import {
  type Attributes,
  deviceSent,
  directAttributes,
  encryptFor,
  groupAttributes,
  ownCopyAttributes,
} from "./outgoing.ts";
import type { World } from "./world.ts";

const MAX_RESENDS = 5;
const KEY_TYPE = Buffer.from([5]);

/** Sends what `author` wrote under the receipt's id once more, to that companion alone. */
export function resend(world: World, author: Account, companion: Companion, receipt: BinaryNode): void {
  const message = author.sent.get(receipt.attrs.id!);
  if (!message || message.retries >= MAX_RESENDS) return;
  message.retries += 1;
  const bundle = bundleOf(receipt) ?? companion.takeBundle();
  const job = author.run(async () => {
    await author.device.openSession(companion.account.number, companion.device, bundle);
    const [attributes, content] = await addressed(world, author, companion, message);
    const enc = await encryptFor(author, companion, content);
    enc.attrs.count = child(receipt, "retry")?.attrs.count ?? "1";
    companion.deliver("message", node("message", attributes, [enc]));
  });
  // Keys that make no session: the companion will ask again, with others.
  job.catch(() => undefined);
}

async function addressed(
  world: World,
  author: Account,
  companion: Companion,
  message: SentMessage,
): Promise<[Attributes, Content]> {
  const group = world.groups.get(message.to);
  if (group) {
    const senderKeyDistributionMessage = {
      groupId: group.jid,
      axolotlSenderKeyDistributionMessage: await author.device.senderKeyDistribution(group.jid),
    };
    return [groupAttributes(world, author, group.jid, message), { ...message.content, senderKeyDistributionMessage }];
  }
  if (companion.account !== author) return [directAttributes(author, message), message.content];
  const attributes = ownCopyAttributes(world, author, world.accounts.get(message.to)!, message);
  return [attributes, deviceSent(attributes.recipient!, message.content)];
}

/** The companion's keys, if the receipt brought them. */
function bundleOf(receipt: BinaryNode): PreKeyBundle | undefined {
  const keys = child(receipt, "keys");
  if (!keys) return undefined;
  const signed = child(keys, "skey");
  const oneTime = child(keys, "key");
  const bundle: PreKeyBundle = {
    registrationId: childUint(receipt, "registration"),
    identityKey: Buffer.concat([KEY_TYPE, requireBytes(keys, "identity")]),
    signedPreKey: {
      keyId: childUint(signed, "id"),
      publicKey: Buffer.concat([KEY_TYPE, requireBytes(signed, "value")]),
      signature: requireBytes(signed, "signature"),
    },
  };
  if (oneTime) {
    bundle.preKey = {
      keyId: childUint(oneTime, "id"),
      publicKey: Buffer.concat([KEY_TYPE, requireBytes(oneTime, "value")]),
    };
  }
  return bundle;
}
