/** Messages that the phone resends for a placeholder, inside a peer message of its own. */

import { proto } from "baileys";
import type { WAMessage } from "baileys";

import type { Me } from "../protocol.ts";
import { isOwn } from "./arrivals.ts";
import { decodePadded } from "./gate.ts";
import { directory, resentData } from "./rebuild.ts";
import type { Joined, MessageHeader } from "./stanza-join.ts";
import type { Fill, Store } from "./store.ts";

export function fillsOf(
  { node }: Joined,
  plaintext: Uint8Array,
  me: Me | null,
  store: Store,
): Fill[] {
  // Only our own phone may speak for other senders.
  if (me === null || !isOwn(node.attrs["from"], me)) return [];
  const response =
    decodePadded(plaintext)?.protocolMessage?.peerDataOperationRequestResponseMessage;
  return (response?.peerDataOperationResult ?? []).flatMap((result) => {
    const bytes = result.placeholderMessageResendResponse?.webMessageInfoBytes;
    if (!bytes?.length) return [];
    const message = proto.WebMessageInfo.decode(bytes) as WAMessage;
    const messageId = message.key.id;
    if (!messageId || !message.message) return [];
    const known = store.stubHeader(messageId);
    const header = known === null ? null : (JSON.parse(known) as MessageHeader);
    const data = resentData(message, header, me, directory(store));
    return [{ messageId, data: JSON.stringify(data) }];
  });
}
