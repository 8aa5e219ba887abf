// What a phone sends its new companion: the app-state key, then its history. Without the
// history a client waits 20 seconds before it hands out events.
import { randomBytes } from "node:crypto";
import { deflateSync } from "node:zlib";
import { proto } from "baileys";
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import type { Content } from "./content.ts";
import { node } from "./nodes.ts";
import { encryptFor } from "./outgoing.ts";
import { messageId, type World } from "./world.ts";

const { Type } = proto.Message.ProtocolMessage;

/** Sends both once per companion; they stay in its queue until it acknowledged them. */
export async function bootstrap(world: World, companion: Companion): Promise<void> {
  if (companion.bootstrapped) return;
  companion.bootstrapped = true;
  await sendPeer(world, companion, keyShare());
  await sendPeer(world, companion, history(world, companion));
  world.onChange();
}

/** A message from the phone to its own companion, outside any chat. */
export async function sendPeer(world: World, companion: Companion, protocolMessage: Content["protocolMessage"]): Promise<void> {
  const phone = companion.account;
  await phone.run(async () => {
    const enc = await encryptFor(phone, companion, { protocolMessage });
    const attrs = {
      id: messageId(),
      from: phone.pnJid,
      category: "peer",
      type: "text",
      t: world.timestamp(),
      // The client learns its own name from here.
      notify: phone.name,
    };
    companion.deliver("message", node("message", attrs, [enc]), true);
  });
}

/** What the phone wrote and was shown before, newest first, as phones tell it. */
function conversationsOf(phone: Account, others: readonly Account[]): proto.IConversation[] {
  return others.flatMap((other) => {
    const written = [...phone.sent.values()].filter(({ to }) => to === other.number);
    const shown = [...phone.received.values()].filter(({ chat, fromMe }) => chat === other.number && !fromMe);
    const told = [
      ...written.map(({ id, content, sentAt }) => ({ id, fromMe: true, message: content, at: sentAt })),
      ...shown.map(({ id, text, at }) => ({ id, fromMe: false, message: { conversation: text }, at })),
    ].sort((a, b) => b.at - a.at);
    if (told.length === 0) return [];
    const messages = told.map(({ id, fromMe, message, at }) => ({
      message: {
        key: { remoteJid: other.lidJid, fromMe, id },
        message,
        messageTimestamp: Math.floor(at / 1000),
        ...(fromMe ? {} : { pushName: other.name }),
      },
    }));
    return [{ id: other.lidJid, pnJid: other.pnJid, messages }];
  });
}

function keyShare(): Content["protocolMessage"] {
  const keyId = Buffer.concat([Buffer.from([0, 0]), randomBytes(4)]);
  const keyData = {
    keyData: randomBytes(32),
    fingerprint: { rawId: 1, currentIndex: 0, deviceIndexes: [0] },
    timestamp: Date.now(),
  };
  return {
    type: Type.APP_STATE_SYNC_KEY_SHARE,
    appStateSyncKeyShare: { keys: [{ keyId: { keyId }, keyData }] },
  };
}

function history(world: World, companion: Companion): Content["protocolMessage"] {
  const others = [...world.accounts.values()].filter((account) => account !== companion.account);
  const payload = proto.HistorySync.encode({
    syncType: proto.HistorySync.HistorySyncType.INITIAL_BOOTSTRAP,
    conversations: conversationsOf(companion.account, others),
    phoneNumberToLidMappings: others.map(({ lidJid, pnJid }) => ({ lidJid, pnJid })),
    progress: 100,
    chunkOrder: 1,
  }).finish();
  return {
    type: Type.HISTORY_SYNC_NOTIFICATION,
    historySyncNotification: {
      syncType: proto.Message.HistorySyncType.INITIAL_BOOTSTRAP,
      chunkOrder: 1,
      progress: 100,
      initialHistBootstrapInlinePayload: deflateSync(payload),
    },
  };
}
