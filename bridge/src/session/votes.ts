/**
 * What a vote in a poll of ours chose. A vote is encrypted with a secret of the poll's, which only
 * who has the poll can read; it names the options by their hashes.
 */

import { createHash } from "node:crypto";

import { decryptPollVote, jidNormalizedUser, proto } from "baileys";

import type { Me } from "../protocol.ts";
import type { Store } from "./store.ts";

/** `vote` of a `message` event: the options' names; null when the vote cannot be read. */
export type Vote = { readonly options: readonly string[] } | null;

/** The vote in a message, undefined when it holds none. `voter`: the addresses of who voted. */
export function voteIn(
  message: proto.IMessage | null | undefined,
  voter: readonly string[],
  me: Me,
  store: Store,
): Vote | undefined {
  const update = message?.pollUpdateMessage;
  if (!update) return undefined;
  const pollId = update.pollCreationMessageKey?.id;
  const poll = pollId ? pollOf(store, pollId) : null;
  const { encPayload, encIv } = update.vote ?? {};
  if (!pollId || poll === null || !encPayload?.length || !encIv?.length) return null;
  // Both are named in the encryption, each by its number or by its LID, as the poll's chat had it.
  for (const creator of addressesOf([me.id, me.lid])) {
    for (const author of addressesOf(voter)) {
      const names = { pollCreatorJid: creator, voterJid: author, pollMsgId: pollId, pollEncKey: poll.secret };
      try {
        const { selectedOptions } = decryptPollVote({ encPayload, encIv }, names);
        return { options: chosen(poll.options, selectedOptions ?? []) };
      } catch {
        // Not with these names.
      }
    }
  }
  return null;
}

function addressesOf(jids: readonly (string | null)[]): string[] {
  return [...new Set(jids.filter((jid) => jid !== null).map((jid) => jidNormalizedUser(jid)))];
}

function pollOf(store: Store, id: string): { secret: Uint8Array; options: string[] } | null {
  const bytes = store.sent(id);
  if (bytes === null) return null;
  const { messageContextInfo, pollCreationMessage, pollCreationMessageV3 } = proto.Message.decode(bytes);
  const secret = messageContextInfo?.messageSecret;
  const poll = pollCreationMessage ?? pollCreationMessageV3;
  if (!secret?.length || !poll) return null;
  return { secret, options: (poll.options ?? []).map(({ optionName }) => optionName ?? "") };
}

function chosen(options: readonly string[], hashes: readonly Uint8Array[]): string[] {
  const selected = new Set(hashes.map((hash) => Buffer.from(hash).toString("hex")));
  return options.filter((option) => selected.has(createHash("sha256").update(option).digest("hex")));
}
