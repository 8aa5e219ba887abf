// Votes in polls: encrypted with the poll's secret, the options named by their hashes.
import { createHash, randomBytes } from "node:crypto";
import { aesEncryptGCM, hmacSign, proto } from "baileys";
import type { Account } from "./account.ts";
import type { Content } from "./content.ts";
import type { World } from "./world.ts";

/** The vote of an account in a poll that it was shown; `options` are names, none takes it back. */
export function vote(world: World, voter: Account, pollId: string, options: readonly string[]): Content {
  const poll = voter.received.get(pollId);
  const content = poll?.message as { messageContextInfo?: { messageSecret?: string } } | undefined;
  const secret = Buffer.from(content?.messageContextInfo?.messageSecret ?? "", "base64");
  const asked = world.accounts.get(poll?.from ?? "");
  if (!asked || secret.length === 0) throw new RangeError(`${pollId} is no poll that ${voter.number} was shown`);
  const lid = voter.addressing === "lid";
  const author = lid ? voter.lidJid : voter.pnJid;
  const creator = lid ? asked.lidJid : asked.pnJid;
  const sign = Buffer.concat([...[pollId, creator, author, "Poll Vote"].map((part) => Buffer.from(part)), Buffer.from([1])]);
  const key = hmacSign(sign, hmacSign(secret, new Uint8Array(32), "sha256"), "sha256");
  const selectedOptions = options.map((option) => createHash("sha256").update(option).digest());
  const plain = proto.Message.PollVoteMessage.encode({ selectedOptions }).finish();
  const encIv = randomBytes(12);
  const encPayload = aesEncryptGCM(plain, key, encIv, Buffer.from(`${pollId}\0${author}`));
  return {
    pollUpdateMessage: {
      pollCreationMessageKey: { remoteJid: creator, fromMe: false, id: pollId },
      vote: { encPayload, encIv },
      senderTimestampMs: Date.now(),
    },
  };
}
