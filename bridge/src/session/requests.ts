/** The requests of the runtime that ask WhatsApp something. */

import { S_WHATSAPP_NET, USyncQuery, USyncUser, getBinaryNodeChild } from "baileys";
import type { BinaryNode, WAMessage } from "baileys";

import { errorMessage, log } from "../log.ts";
import { RequestError } from "../protocol.ts";
import type { PresenceState } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import { DeadlineExceeded, within } from "./deadline.ts";
import type { Socket } from "./socket.ts";
import type { MessageHeader } from "./stanza-join.ts";
import type { Store } from "./store.ts";

const QUERY_DEADLINE_MS = 20_000;
const PROBE_DEADLINE_MS = 10_000;
const LOGOUT_DEADLINE_MS = 10_000;
const PAIRING_READY_MS = 20_000;
const POLL_MS = 50;

export interface CheckedPhone {
  readonly phone: string;
  readonly exists: boolean;
  readonly jid: string | null;
  readonly lid: string | null;
}

function openSocket(connection: Connection): Socket {
  const sock = connection.openSocket;
  if (sock === null) throw new RequestError("not_connected", "WhatsApp is not connected", true);
  return sock;
}

async function asked<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  try {
    return await within(ms, work, what);
  } catch (error) {
    const code = error instanceof DeadlineExceeded ? "timeout" : "query_failed";
    throw new RequestError(code, errorMessage(error), true);
  }
}

/** Baileys' `onWhatsApp` does not tell an answer that names nobody from "not registered". */
class RegistrationQuery extends USyncQuery {
  /** Null: nobody has the number; undefined: the answer does not say. */
  jid: string | null | undefined;

  override parseUSyncQueryResult(result: BinaryNode | undefined): ReturnType<USyncQuery["parseUSyncQueryResult"]> {
    const list = getBinaryNodeChild(getBinaryNodeChild(result, "usync"), "list");
    const user = getBinaryNodeChild(list, "user");
    const type = getBinaryNodeChild(user, "contact")?.attrs["type"];
    if (type === "out") this.jid = null;
    if (type === "in") this.jid = user?.attrs["jid"];
    return super.parseUSyncQueryResult(result);
  }
}

/** One query per phone: an answer may name another number (the ninth digit), not the one asked. */
export async function checkPhones(
  connection: Connection,
  phones: readonly string[],
): Promise<CheckedPhone[]> {
  const checked: CheckedPhone[] = [];
  for (const phone of phones) {
    const sock = openSocket(connection);
    const query = new RegistrationQuery();
    query.withContactProtocol().withUser(new USyncUser().withPhone(`+${phone}`));
    await asked(QUERY_DEADLINE_MS, sock.executeUSyncQuery(query), "check");
    const { jid } = query;
    if (jid === undefined) throw new RequestError("query_failed", "check: the answer says nothing of the number", true);
    if (jid === null) {
      checked.push({ phone, exists: false, jid: null, lid: null });
      continue;
    }
    const mapping = sock.signalRepository.lidMapping.getLIDForPN(jid);
    const lid = await asked(QUERY_DEADLINE_MS, mapping, "check");
    checked.push({ phone, exists: true, jid, lid });
  }
  return checked;
}

/** A round trip to WhatsApp in milliseconds. */
export async function probe(connection: Connection): Promise<{ rttMs: number }> {
  const sock = openSocket(connection);
  const started = performance.now();
  const ping = sock.query(
    {
      tag: "iq",
      attrs: { to: S_WHATSAPP_NET, type: "get", xmlns: "w:p" },
      content: [{ tag: "ping", attrs: {} }],
    },
    PROBE_DEADLINE_MS,
  );
  // Baileys answers a query that timed out with undefined.
  if ((await asked(PROBE_DEADLINE_MS, ping, "probe")) === undefined) {
    throw new RequestError("timeout", `probe: no answer in ${PROBE_DEADLINE_MS} ms`, true);
  }
  return { rttMs: Math.round((performance.now() - started) * 10) / 10 };
}

/** A code to be typed on the phone; the socket must be at the point of showing a QR. */
export async function pairingCode(
  connection: Connection,
  phone: string,
): Promise<{ pairingCode: string }> {
  if (connection.state === "open") {
    throw new RequestError("already_paired", "this connection is paired", false);
  }
  // A code is good as long as its socket lives, which ends with the last QR code.
  if (connection.qrsShown > 1) connection.open();
  const until = Date.now() + PAIRING_READY_MS;
  while (connection.state === "connecting" && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const sock = connection.anySocket;
  if (connection.state !== "qr" || sock === null) {
    throw new RequestError("not_ready", "the connection does not wait for pairing", true);
  }
  const code = sock.requestPairingCode(phone);
  return { pairingCode: await asked(QUERY_DEADLINE_MS, code, "pairingCode") };
}

/** Tell the authors that their messages were read; as each message was addressed, if it is known. */
export async function tellRead(
  connection: Connection,
  store: Store,
  chat: string,
  ids: readonly string[],
): Promise<Record<string, never>> {
  const keys = ids.map((id) => readKey(store, chat, id));
  await asked(QUERY_DEADLINE_MS, openSocket(connection).readMessages(keys), "read");
  return {};
}

function readKey(store: Store, chat: string, id: string): WAMessage["key"] {
  const header = store.stubHeader(id);
  return header === null
    ? { remoteJid: chat, id, fromMe: false }
    : (JSON.parse(header) as MessageHeader).key;
}

/** Show a chat, or everybody, what we are doing; also asks to be told what the other side does. */
export async function showPresence(
  connection: Connection,
  to: string | null,
  state: PresenceState,
): Promise<Record<string, never>> {
  const sock = openSocket(connection);
  const show = async (): Promise<void> => {
    if (to !== null) await sock.presenceSubscribe(to);
    await sock.sendPresenceUpdate(state, to ?? undefined);
  };
  await asked(QUERY_DEADLINE_MS, show(), "presence");
  return {};
}

/** The address of a profile picture; null when there is none to be seen. */
export async function picture(connection: Connection, jid: string): Promise<{ url: string | null }> {
  const sock = openSocket(connection);
  try {
    return { url: (await within(QUERY_DEADLINE_MS, sock.profilePictureUrl(jid, "preview"), "picture")) ?? null };
  } catch (error) {
    if (error instanceof DeadlineExceeded) throw new RequestError("timeout", error.message, true);
    return { url: null };
  }
}

/** What a group is called, asked anew: who asks has a reason to. */
export async function group(connection: Connection, jid: string): Promise<{ subject: string }> {
  const metadata = openSocket(connection).groupMetadata(jid);
  return { subject: (await asked(QUERY_DEADLINE_MS, metadata, "group")).subject };
}

/** Tell WhatsApp that this device leaves; that it cannot be told does not keep us from leaving. */
export async function requestLogout(connection: Connection): Promise<void> {
  const sock = connection.openSocket;
  if (sock === null) return;
  try {
    await within(LOGOUT_DEADLINE_MS, sock.logout(), "logout");
  } catch (error) {
    log("warn", "logout_unconfirmed", { error: errorMessage(error) });
  }
}
