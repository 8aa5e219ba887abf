import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { DEFAULT_CONNECTION_CONFIG, initAuthCreds, proto } from "baileys";

import type { ConnectionState } from "../src/protocol.ts";
import { PLAIN } from "../src/session/behaviour.ts";
import { Connection } from "../src/session/connection.ts";
import { pairingCode } from "../src/session/requests.ts";
import { saveCredentials } from "../src/session/socket.ts";
import { TtlCache } from "../src/session/ttl-cache.ts";
import { temporaryStore } from "./support/signal.ts";

console.info = console.warn = console.error = (): void => undefined;

// Nobody listens there: the socket never gets beyond connecting.
DEFAULT_CONNECTION_CONFIG.waWebSocketUrl = "ws://127.0.0.1:9";

const ME = { id: "5511900000001:1@s.whatsapp.net", lid: "222222222222222:1@lid", name: "Loja" };

interface Scene {
  readonly connection: Connection;
  readonly store: ReturnType<typeof temporaryStore>;
  readonly states: ConnectionState[];
}

function scene(): Scene {
  const store = temporaryStore();
  saveCredentials(store, { ...initAuthCreds(), me: ME, account: {} });
  const states: ConnectionState[] = [];
  const connection = new Connection({
    id: "loja",
    store,
    retries: new TtlCache(1000, 10),
    version: null,
    onState: (state) => states.push(state),
    onSocketMade: () => undefined,
    onDecryptFailure: () => undefined,
    onPresence: () => undefined,
  });
  connection.configure({ ...PLAIN, history: { days: 7, maxMessages: 10 } });
  return { connection, store, states };
}

test("what Baileys' event buffer holds when a socket ends is not lost with it", () => {
  const { connection, store, states } = scene();
  connection.open();
  const { ev } = connection.anySocket!;
  ev.buffer();
  ev.emit("messaging-history.set", {
    chats: [],
    contacts: [],
    messages: [
      proto.WebMessageInfo.fromObject({
        key: { remoteJid: "5511911110001@s.whatsapp.net", fromMe: false, id: "H1" },
        messageTimestamp: Math.floor(Date.now() / 1000),
        message: { conversation: "de antes" },
      }),
    ],
    isLatest: false,
  } as unknown as Parameters<typeof ev.emit<"messaging-history.set">>[1]);
  assert.equal(store.pendingEvents, 0, "it is held back");
  connection.close();
  const events = store.eventsAfter(0, 10).map(({ data }) => JSON.parse(data!) as { key: { id: string } });
  assert.deepEqual(events.map(({ key }) => key.id), ["H1"]);
  assert.deepEqual(states.map(({ state }) => state), ["connecting", "closed"]);
});

for (const proxy of ["x", "ftp://x:1", "http://a^b:80", "http://1.2.3.999:80", "socks5://:1080", "http://xn--:1"]) {
  test(`${proxy} is no proxy: the connection says so, and nothing else happens`, () => {
    const { connection, states } = scene();
    connection.configure({ ...PLAIN, proxy: { url: proxy, addresses: ["127.0.0.1"] } });
    connection.open();
    const [, last] = states;
    assert.deepEqual(last, {
      state: "closed",
      code: 503,
      cause: "proxy_not_allowed",
      reason: "the proxy cannot be used",
      qrEnded: false,
    });
    assert.equal(connection.anySocket, null);
  });
}

test("a pairing code gets a socket that has all its time left", async (t) => {
  const silent = createServer().listen(0, "127.0.0.1");
  t.after(() => silent.close());
  await once(silent, "listening");
  const before = DEFAULT_CONNECTION_CONFIG.waWebSocketUrl;
  DEFAULT_CONNECTION_CONFIG.waWebSocketUrl = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  t.after(() => (DEFAULT_CONNECTION_CONFIG.waWebSocketUrl = before));
  const { connection } = scene();
  connection.open();
  const ask = (): Promise<{ pairingCode: string }> => {
    const answer = pairingCode(connection, "5511900000001");
    const sock = connection.anySocket!;
    sock.requestPairingCode = () => Promise.resolve(sock === first ? "FIRST123" : "SECOND12");
    sock.ev.emit("connection.update", { qr: "code" });
    return answer;
  };
  const first = connection.anySocket!;
  assert.deepEqual(await ask(), { pairingCode: "FIRST123" });
  assert.equal(connection.anySocket, first, "it has just begun");
  first.ev.emit("connection.update", { qr: "renewed" });
  assert.deepEqual(await ask(), { pairingCode: "SECOND12" });
  assert.notEqual(connection.anySocket, first);
  connection.close();
});

test("each renewal of the QR code is told, with the time at which it expires", () => {
  const { connection, states } = scene();
  connection.open();
  const { ev } = connection.anySocket!;
  const began = Date.now();
  for (const qr of ["first", "second", "third"]) ev.emit("connection.update", { qr });
  connection.close();
  const shown = states.filter((state) => state.state === "qr");
  assert.deepEqual(shown.map(({ qr }) => qr), ["first", "second", "third"]);
  for (const [index, seconds] of [60, 20, 20].entries()) {
    const left = shown[index]!.expiresAt - began;
    assert.ok(left >= seconds * 1000 && left < (seconds + 10) * 1000, `${left} ms`);
  }
});
