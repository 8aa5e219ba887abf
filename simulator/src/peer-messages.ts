// What a companion asks of its own phone: the content of a message that came without any.
import { proto } from "baileys";
import { sendPeer } from "./bootstrap.ts";
import type { Companion } from "./companion.ts";
import { decodeContent } from "./content.ts";
import type { EncryptedPart } from "./inbox.ts";
import type { World } from "./world.ts";

const { Type } = proto.Message.ProtocolMessage;

export function onPeerMessage(world: World, companion: Companion, parts: readonly EncryptedPart[]): void {
  const phone = companion.account;
  void phone.run(async () => {
    for (const { type, body } of parts) {
      const plaintext = await phone.device.decrypt(phone.number, companion.device, type, body).catch(() => undefined);
      if (!plaintext) continue;
      const content = decodeContent(plaintext);
      const { protocolMessage } = content.deviceSentMessage?.message ?? content;
      const request = protocolMessage?.peerDataOperationRequestMessage;
      const asked = request?.placeholderMessageResendRequest?.map((one) => one.messageKey) ?? [];
      for (const key of asked) if (key) answer(world, companion, key);
    }
  });
}

function answer(world: World, companion: Companion, key: proto.IMessageKey): void {
  const author = world.findJid(key.participant ?? key.remoteJid ?? undefined);
  const message = author?.sent.get(key.id ?? "");
  if (!message) return;
  const webMessageInfoBytes = proto.WebMessageInfo.encode({
    key,
    message: message.content,
    messageTimestamp: Math.floor(message.sentAt / 1000),
    pushName: author!.name,
  }).finish();
  const sent = sendPeer(world, companion, {
    type: Type.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
    peerDataOperationRequestResponseMessage: {
      peerDataOperationRequestType: proto.Message.PeerDataOperationRequestType.PLACEHOLDER_MESSAGE_RESEND,
      peerDataOperationResult: [{ placeholderMessageResendResponse: { webMessageInfoBytes } }],
    },
  });
  // Without a session there is no answer, as from a phone that is off.
  sent.catch(() => undefined);
}
