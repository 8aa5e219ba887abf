// What a primary device is shown. A message id is shown once, however often it arrives.
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import { type Content, decodeContent, describe } from "./content.ts";
import type { ReceivedMessage } from "./ledger.ts";
import { type MediaRecord, readMedia } from "./media-messages.ts";
import { node, uint } from "./nodes.ts";
import { sendReceipt } from "./receipts.ts";
import type { World } from "./world.ts";

/** A device stops asking for a message again after this many attempts. */
const MAX_RETRIES = 5;

export type Envelope = {
  readonly id: string;
  /** The address that the author's `to` had, to which receipts refer. */
  readonly receiptFrom: string;
  readonly participant?: string | undefined;
  /** Group jid, if it is a group message. */
  readonly group?: string | undefined;
  /** Number of the other side as the author named it; only for own copies. */
  readonly recipient?: string | undefined;
};

export type EncryptedPart = { readonly type: string; readonly body: Buffer };

type Shown = {
  readonly author: Account;
  readonly device: number;
  readonly chat: string;
  readonly fromMe: boolean;
  readonly content: { readonly kind: string; readonly text: string; readonly media?: MediaRecord | undefined; readonly message?: unknown };
};

const retries = new WeakMap<Account, Map<string, number>>();

/** Shows a message and sends the receipts that the account's manners call for. */
export function show(world: World, reader: Account, envelope: Envelope, shown: Shown): void {
  const known = reader.received.get(envelope.id);
  const message: ReceivedMessage = known ?? {
    id: envelope.id,
    from: shown.author.number,
    device: shown.device,
    chat: shown.chat,
    fromMe: shown.fromMe,
    text: shown.content.text,
    kind: shown.content.kind,
    media: shown.content.media,
    message: shown.content.message,
    at: Date.now(),
    order: reader.received.size + 1,
    arrivals: 0,
    receiptFrom: envelope.receiptFrom,
    participant: envelope.participant,
  };
  message.arrivals += 1;
  if (!known) reader.received.set(message.id, message);
  if (shown.fromMe) return;
  if (reader.manners.delivers) sendReceipt(world, reader, message, "delivered");
  if (reader.manners.reads) sendReceipt(world, reader, message, "read");
}

/** Decrypts and shows what a companion sent to this primary device, in order of arrival. */
export function receive(
  world: World,
  reader: Account,
  sender: Companion,
  envelope: Envelope,
  parts: readonly EncryptedPart[],
): void {
  void reader.run(async () => {
    const author = sender.account;
    try {
      const content = await decryptParts(reader, sender, envelope, parts);
      if (!content) return;
      const own = content.deviceSentMessage;
      const fromMe = author === reader;
      const chat = envelope.group ?? (fromMe ? (envelope.recipient ?? "") : author.number);
      const shown = own?.message ?? content;
      const described = { ...describe(shown), media: await readMedia(world, shown), message: jsonOf(shown) };
      show(world, reader, envelope, { author, device: sender.device, chat, fromMe, content: described });
    } catch {
      askAgain(world, reader, sender, envelope);
    }
  });
}

/** What was written, as protobuf JSON; of a plain text the text says it all. */
function jsonOf(content: Content): unknown {
  return content.conversation ? undefined : JSON.parse(JSON.stringify(content));
}

async function decryptParts(
  reader: Account,
  sender: Companion,
  envelope: Envelope,
  parts: readonly EncryptedPart[],
): Promise<Content | undefined> {
  const peer = sender.account.number;
  let content: Content | undefined;
  for (const { type, body } of parts) {
    const plaintext =
      type === "skmsg"
        ? await reader.device.decryptFromGroup(envelope.group!, peer, sender.device, body)
        : await reader.device.decrypt(peer, sender.device, type, body);
    const part = decodeContent(plaintext);
    const senderKey = part.senderKeyDistributionMessage;
    if (senderKey?.axolotlSenderKeyDistributionMessage) {
      const key = Buffer.from(senderKey.axolotlSenderKeyDistributionMessage);
      await reader.device.processSenderKey(senderKey.groupId ?? envelope.group!, peer, sender.device, key);
    }
    const { kind } = describe(part);
    if (kind !== "unknown") content = part;
  }
  return content;
}

function askAgain(world: World, reader: Account, sender: Companion, envelope: Envelope): void {
  let counts = retries.get(reader);
  if (!counts) retries.set(reader, (counts = new Map()));
  const count = (counts.get(envelope.id) ?? 0) + 1;
  counts.set(envelope.id, count);
  if (count > MAX_RETRIES) return;
  const t = world.timestamp();
  const attrs = {
    id: envelope.id,
    from: envelope.receiptFrom,
    participant: envelope.participant,
    type: "retry",
    t,
  };
  const content = [
    node("retry", { count: String(count), id: envelope.id, t, v: "1" }),
    node("registration", {}, uint(reader.device.keys.registrationId, 4)),
  ];
  sender.deliver("receipt", node("receipt", attrs, content));
}

