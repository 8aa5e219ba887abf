/** Calls, typing, reading and old messages: what a socket tells beside new messages. */

import { isJidGroup } from "baileys";
import type { BaileysEventMap, Contact } from "baileys";

import type { SeenPresence } from "../protocol.ts";
import type { Behaviour } from "./behaviour.ts";
import { isBroadcastList, isDirect } from "./chats.ts";
import { importable } from "./history.ts";
import type { Life } from "./keys.ts";
import { meOf } from "./me.ts";
import { directory, resentData } from "./rebuild.ts";
import type { Socket } from "./socket.ts";
import type { Store } from "./store.ts";

export interface Watched {
  readonly sock: Socket;
  readonly life: Life;
  readonly store: Store;
  readonly behaviour: () => Behaviour;
  /** Does what may fail. */
  readonly attempt: (what: string, work: Promise<unknown>) => void;
  readonly onPresence: (presence: SeenPresence) => void;
}

/** Answer, tell or keep it as the behaviour says; returns what ends that. */
export function watchPeople({ sock, life, store, behaviour, attempt, onPresence }: Watched): () => void {
  const names = directory(store);
  const calls = (offered: BaileysEventMap["call"]): void => {
    if (!life.alive || !behaviour().rejectCalls) return;
    for (const { id, from, status } of offered) {
      if (status === "offer") attempt("reject call", sock.rejectCall(id, from));
    }
  };
  const presence = ({ id, presences }: BaileysEventMap["presence.update"]): void => {
    if (!life.alive) return;
    for (const [participant, { lastKnownPresence, lastSeen }] of Object.entries(presences)) {
      onPresence({
        jid: id,
        phone: names.phoneOf(id),
        lid: names.lidOf(id),
        participant: participant === id ? null : participant,
        state: lastKnownPresence,
        lastSeen: lastSeen ?? null,
      });
    }
  };
  const history = ({ messages }: BaileysEventMap["messaging-history.set"]): void => {
    const me = meOf(sock.authState.creds);
    const { history: wanted } = behaviour();
    if (!life.alive || me === null || wanted === null) return;
    const bound = { ...wanted, alreadyImported: store.importedMessages() };
    const events = importable(messages, bound, Date.now()).map((message) => ({
      kind: "message" as const,
      data: { ...resentData(message, null, me, names), history: true },
    }));
    store.appendHistory(events);
  };
  const read = ({ messages }: BaileysEventMap["messages.upsert"]): void => {
    const { readAutomatically, storeGroups } = behaviour();
    if (!life.alive || !readAutomatically) return;
    const keys = messages
      .filter(({ key, message }) => !key.fromMe && message && isStored(key.remoteJid ?? "", storeGroups))
      .map(({ key }) => key);
    if (keys.length > 0) attempt("read", sock.readMessages(keys));
  };
  /** How the account's owner has saved somebody on the phone. */
  const saved = (contacts: readonly Partial<Contact>[]): void => {
    if (!life.alive) return;
    const named = contacts.flatMap(({ id, name, phoneNumber, lid }) =>
      id && name && isDirect(id)
        ? [{ jid: id, phone: names.phoneOf(phoneNumber ?? id), lid: names.lidOf(lid ?? id), name }]
        : [],
    );
    store.appendEvents(named.map((data) => ({ kind: "contact" as const, data })));
  };
  sock.ev.on("contacts.upsert", saved);
  sock.ev.on("contacts.update", saved);
  sock.ev.on("call", calls);
  sock.ev.on("presence.update", presence);
  sock.ev.on("messaging-history.set", history);
  sock.ev.on("messages.upsert", read);
  return () => {
    sock.ev.off("contacts.upsert", saved);
    sock.ev.off("contacts.update", saved);
    sock.ev.off("call", calls);
    sock.ev.off("presence.update", presence);
    sock.ev.off("messaging-history.set", history);
    sock.ev.off("messages.upsert", read);
  };
}

/** Whether messages of this chat become rows, so that somebody can be said to read them. */
function isStored(jid: string, storeGroups: boolean): boolean {
  return isDirect(jid) || isBroadcastList(jid) || (isJidGroup(jid) === true && storeGroups);
}
