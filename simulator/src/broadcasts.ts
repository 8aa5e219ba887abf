// What is written to everybody: status updates and newsletters.
import { randomBytes } from "node:crypto";
import type { Account } from "./account.ts";
import { encodeContent } from "./content.ts";
import { node } from "./nodes.ts";
import { encryptFor } from "./outgoing.ts";
import { messageId, type World } from "./world.ts";

/** A contact's status update, as the companions of one who follows it get it. */
export async function postStatus(world: World, author: Account, follower: Account, text: string): Promise<string> {
  const id = messageId();
  await author.run(async () => {
    for (const companion of follower.companions.values()) {
      const enc = await encryptFor(author, companion, { extendedTextMessage: { text } });
      const { lidJid: participant, pnJid: participant_pn, name: notify } = author;
      const t = world.timestamp();
      const attrs = { id, from: "status@broadcast", participant, participant_pn, type: "text", t, notify };
      companion.deliver("message", node("message", attrs, [enc]));
    }
  });
  return id;
}

/** News of a newsletter: not encrypted, as there is nobody that it is for. */
export function postNews(world: World, subscriber: Account, text: string): string {
  const id = messageId();
  const from = `1203630${randomBytes(5).readUInt32BE()}@newsletter`;
  const plaintext = node("plaintext", {}, encodeContent({ conversation: text }));
  const attrs = { id, from, server_id: "1", type: "text", t: world.timestamp() };
  for (const companion of subscriber.companions.values()) {
    companion.deliver("message", node("message", attrs, [plaintext]));
  }
  return id;
}
