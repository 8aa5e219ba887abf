// A companion found its media expired and asks its phone to upload it once more.
import { randomBytes } from "node:crypto";
import { aesEncryptGCM, hkdf, proto } from "baileys";
import type { Companion } from "./companion.ts";
import { mediaMessage } from "./media-messages.ts";
import { type BinaryNode, child, node } from "./nodes.ts";
import { stanzaId, type World } from "./world.ts";

const { ResultType } = proto.MediaRetryNotification;
const NOT_FOUND = "2";

/** The phone has everything its chats ever held, unless a fault says otherwise. */
export function onMediaRetry(world: World, companion: Companion, receipt: BinaryNode): void {
  const { number } = companion.account;
  if (world.faults.strike("lose-reupload", number)) return;
  const id = receipt.attrs.id!;
  const asked = child(receipt, "rmr")?.attrs ?? {};
  const author = world.findJid(asked.participant ?? asked.jid);
  const sent = companion.account.sent.get(id) ?? author?.sent.get(id);
  const found = sent?.content && mediaMessage(sent.content);
  const blob = found && world.media.find(found.message.directPath ?? "");
  const rmr = node("rmr", { jid: asked.jid, from_me: asked.from_me, participant: asked.participant });
  const attrs = { id, type: "mediaretry", from: companion.account.pnJid, t: world.timestamp() };
  const refused = world.faults.strike("refuse-reupload", number);
  if (!blob || !found.message.mediaKey || refused) {
    const refusal = node("error", { code: refused?.code === undefined ? NOT_FOUND : String(refused.code) });
    companion.deliver("notification", node("notification", attrs, [rmr, refusal]));
    return;
  }
  const directPath = world.media.put(blob.bytes);
  world.media.reuploads += 1;
  const answer = proto.MediaRetryNotification.encode({
    stanzaId: stanzaId(),
    directPath,
    result: ResultType.SUCCESS,
  }).finish();
  const iv = randomBytes(12);
  const key = Buffer.from(hkdf(Buffer.from(found.message.mediaKey), 32, { info: "WhatsApp Media Retry Notification" }));
  const encrypted = node("encrypt", {}, [
    node("enc_p", {}, aesEncryptGCM(answer, key, iv, Buffer.from(id))),
    node("enc_iv", {}, iv),
  ]);
  companion.deliver("notification", node("notification", attrs, [encrypted, rmr]));
}
