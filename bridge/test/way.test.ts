/** The way to WhatsApp fails in every manner; the session is not concerned. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TLSSocket, createSecureContext } from "node:tls";

import { encodeBinaryNode } from "baileys";
import type { BinaryNode } from "baileys";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

import { NoiseResponder } from "../../simulator/src/noise.ts";
import { createServerIdentity } from "../../simulator/src/root-key.ts";
import type { ServerIdentity } from "../../simulator/src/root-key.ts";
import { Bridge } from "./support/bridge.ts";
import { certificate } from "./support/certificates.ts";
import type { Certificate } from "./support/certificates.ts";
import type { Frame, Runtime } from "./support/runtime.ts";
import { waitFor } from "./support/wait.ts";
import { WhatsApp } from "./support/whatsapp.ts";

const PHONE = "5511900007777";
const REPEATS = 6;

type Way = (socket: Socket) => void;

const authority = certificate("Tests");
const good = certificate("WhatsApp", { issuer: authority });

let data: string;
let whatsapp: WhatsApp;
let bridge: Bridge;
let runtime: Runtime;
let way: Way;

const server = createServer((socket) => {
  socket.on("error", () => undefined);
  way(socket);
});

function behindTls(shown: Certificate, then: (tls: TLSSocket) => void): Way {
  return (socket) => {
    const secureContext = createSecureContext({ cert: shown.cert, key: shown.key });
    const tls = new TLSSocket(socket, { isServer: true, secureContext });
    tls.on("error", () => undefined);
    then(tls);
  };
}

/** To the simulator. */
const through = (tls: TLSSocket): void => {
  const { port, hostname } = new URL(whatsapp.url);
  const upstream = connect(Number(port), hostname);
  upstream.on("error", () => tls.destroy());
  tls.on("close", () => upstream.destroy());
  upstream.on("close", () => tls.destroy());
  tls.pipe(upstream).pipe(tls);
};

const showing = (shown: Certificate): Way => behindTls(shown, through);

/** An HTTP answer to the upgrade, as it stands. */
const answering = (head: string, body = ""): Way =>
  behindTls(good, (tls) => {
    tls.once("data", () => tls.end(`HTTP/1.1 ${head}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
  });

const webSockets = new WebSocketServer({ noServer: true });

/** Somebody who speaks WebSocket, but is not WhatsApp. */
const speaking = (speak: (socket: WebSocket) => void): Way =>
  behindTls(good, (tls) => {
    tls.once("data", (head: Buffer) => {
      const key = /sec-websocket-key: *(\S+)/i.exec(head.toString("latin1"))![1]!;
      const headers = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-key": key, "sec-websocket-version": "13" };
      const request = { method: "GET", headers, url: "/" };
      webSockets.handleUpgrade(request as never, tls, Buffer.alloc(0), (socket) => {
        socket.on("error", () => undefined);
        speak(socket);
      });
    });
  });

/** Noise as WhatsApp speaks it, by whoever has these keys; then a stanza, encrypted as it should be. */
const noise = (identity: ServerIdentity, stanza: BinaryNode): Way =>
  speaking((socket) => {
    const responder = new NoiseResponder(identity);
    let frames = 0;
    socket.on("message", (bytes: Buffer) => {
      for (const frame of responder.receive(bytes)) {
        frames += 1;
        if (frames === 1) socket.send(responder.serverHello(frame));
        if (frames !== 2) continue;
        responder.clientFinish(frame);
        socket.send(responder.encryptFrame(encodeBinaryNode(stanza)));
      }
    });
  });

const REMOVED: BinaryNode = { tag: "failure", attrs: { reason: "401" } };

function framed(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length >> 16, (bytes.length >> 8) & 255, bytes.length & 255]), bytes]);
}

const KINDS: readonly (readonly [string, string, Way])[] = [
  ["an untrusted issuer", "certificate_untrusted", showing(certificate("x", { issuer: certificate("Inspection") }))],
  ["a certificate that signs itself", "certificate_untrusted", showing(certificate("x", { host: "127.0.0.1" }))],
  ["an expired certificate", "certificate_expired", showing(certificate("x", { issuer: authority, from: -9, to: -2 }))],
  ["a certificate of tomorrow", "certificate_not_yet_valid", showing(certificate("x", { issuer: authority, from: 2 }))],
  ["another host's certificate", "certificate_wrong_host", showing(certificate("x", { issuer: authority, host: "example.com" }))],
  ["no TLS but a page", "tls_failed", (socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n<html>Wi-Fi</html>")],
  ["a hang-up at once", "connection_reset", (socket) => socket.destroy()],
  ["a reset", "connection_reset", (socket) => socket.resetAndDestroy()],
  ["a hang-up behind TLS", "connection_reset", behindTls(good, (tls) => void tls.on("secure", () => tls.destroy()))],
  ["a page", "http_answer", answering("200 OK", "<html>Wi-Fi</html>")],
  ["a redirection", "http_answer", answering("302 Found\r\nLocation: https://portal.example/login")],
  ["401 in clear", "http_answer", answering("401 Unauthorized")],
  ["403 in clear", "http_answer", answering("403 Forbidden")],
  ["405 in clear", "http_answer", answering("405 Method Not Allowed")],
  ["500 in clear", "http_answer", answering("500 Internal Server Error")],
  ["an upgrade to something else", "http_answer", answering("101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade")],
  ["no HTTP", "http_answer", behindTls(good, (tls) => void tls.once("data", () => tls.end("SSH-2.0-x\r\n\r\n")))],
  ["a WebSocket that closes", "connection_reset", speaking((socket) => socket.close(4401, "401"))],
  ["a WebSocket that breaks its protocol", "not_whatsapp", speaking((socket) => void rawOf(socket).write(Buffer.from([0xff, 0xff, 0, 0])))],
  ["no handshake", "not_whatsapp", speaking((socket) => socket.send(framed(Buffer.alloc(64, 7))))],
  ["an empty handshake", "not_whatsapp", speaking((socket) => socket.send(framed(Buffer.alloc(0))))],
  ["a stream error in clear", "not_whatsapp", speaking((socket) => socket.send(framed(Buffer.from(encodeBinaryNode(REMOVED)))))],
  ["a logout in clear, again and again", "not_whatsapp", speaking((socket) => {
    const frame = framed(Buffer.from(encodeBinaryNode({ tag: "stream:error", attrs: {}, content: [{ tag: "conflict", attrs: { type: "device_removed" } }] })));
    socket.send(Buffer.concat([frame, frame, frame]));
  })],
];

function rawOf(socket: WebSocket): Socket {
  return (socket as unknown as { _socket: Socket })._socket;
}

before(async () => {
  data = await mkdtemp(join(tmpdir(), "bridge-way-"));
  whatsapp = await WhatsApp.start();
  way = showing(good);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const extraCertificates = join(data, "authority.pem");
  await writeFile(extraCertificates, authority.cert);
  const whatsappUrl = `wss://127.0.0.1:${(server.address() as AddressInfo).port}/ws/chat`;
  bridge = await Bridge.start({ data: join(data, "connections"), whatsappUrl, extraCertificates });
  runtime = await bridge.attach("loja");
  runtime.autoAck = true;
  await runtime.hello();
  await whatsapp.phone(PHONE);
  await whatsapp.pair(runtime, PHONE);
});

after(async () => {
  await runtime?.close();
  await bridge?.stop();
  server.close();
  await whatsapp?.close();
  await rm(data, { recursive: true });
});

async function closedAgain(): Promise<Frame> {
  const before = runtime.states("closed").length;
  runtime.send({ type: "open" });
  return waitFor("the end", () => runtime.states("closed")[before]);
}

async function opensWithoutCode(): Promise<void> {
  way = showing(good);
  const [opened, codes] = [runtime.states("open").length, runtime.states("qr").length];
  runtime.send({ type: "open" });
  await waitFor("an open connection", () => runtime.states("open").length > opened);
  assert.equal(runtime.states("qr").length, codes);
}

for (const [what, cause, bad] of KINDS) {
  test(`${what}: ${cause}, however often, and the session is as it was`, async () => {
    way = bad;
    for (let turn = 0; turn < REPEATS; turn += 1) {
      assert.equal((await closedAgain())["cause"], cause);
    }
    assert.deepEqual(await readdir(join(data, "connections")), ["loja.sqlite", "loja.sqlite-wal"]);
    await opensWithoutCode();
  });
}

test("whoever replays WhatsApp's certificate with another key is not WhatsApp", async () => {
  const [real, own] = [whatsapp.simulator.world.identity, createServerIdentity()];
  way = noise({ keyPair: own.keyPair, certificateChain: real.certificateChain }, REMOVED);
  assert.equal((await closedAgain())["cause"], "not_whatsapp");
  await opensWithoutCode();
});

test("what WhatsApp itself says counts", async () => {
  way = noise(whatsapp.simulator.world.identity, REMOVED);
  const closed = await closedAgain();
  assert.deepEqual([closed["cause"], closed["code"]], ["whatsapp", 401]);
  for (const code of [500, 503, 440]) {
    way = noise(whatsapp.simulator.world.identity, { tag: "stream:error", attrs: { code: String(code) } });
    const said = await closedAgain();
    assert.deepEqual([said["cause"], said["code"]], ["whatsapp", code]);
  }
  await opensWithoutCode();
});

test("a path that breaks while open is a lost connection", async () => {
  await opensWithoutCode();
  const before = runtime.states("closed").length;
  await whatsapp.fault({ kind: "drop", phone: PHONE, times: 1 });
  const closed = await waitFor("the end", () => runtime.states("closed")[before]);
  assert.equal(closed["cause"], "connection_lost");
});
