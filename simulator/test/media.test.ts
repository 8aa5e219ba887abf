import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { after, before, beforeEach, test } from "node:test";
import { type AnyMessageContent, downloadMediaMessage, type WAMessage } from "baileys";
import { MEDIA_CERTIFICATE } from "../src/media-certificate.ts";
import { MEDIA_KINDS, sha256 } from "../src/media-crypto.ts";
import { composeMedia } from "../src/media-messages.ts";
import { sendContent } from "../src/outgoing.ts";
import type { Client } from "./support/client.ts";
import { Scene } from "./support/scene.ts";
import { waitFor } from "./support/wait.ts";

setDefaultCACertificates([...getCACertificates("default"), MEDIA_CERTIFICATE]);

let scene: Scene;
let client: Client;

before(async () => {
  scene = await Scene.start();
  client = await scene.paired();
});

beforeEach(() => scene.world.faults.clearAll());

after(() => scene.close());

async function receive(fields: object): Promise<WAMessage> {
  const { content } = await composeMedia(scene.world, fields as Record<string, unknown>);
  const { id } = sendContent(scene.world, scene.contact(), { account: scene.phone() }, content);
  const { message } = await waitFor("the media", () => client.upserts.find((one) => one.message.key.id === id));
  return message;
}

const download = (message: WAMessage): Promise<Buffer> => downloadMediaMessage(message, "buffer", {});

for (const kind of MEDIA_KINDS) {
  test(`a contact's ${kind} is downloaded by the client as it was`, async () => {
    const bytes = randomBytes(10_000);
    const message = await receive({ kind, mimetype: "application/x-test", base64: bytes.toString("base64"), caption: "veja" });
    assert.deepEqual(await download(message), bytes);
  });

  test(`the client's ${kind} is fetched, decrypted and shown by the contact`, async () => {
    const bytes = randomBytes(5_000);
    const more = { mimetype: "audio/ogg; codecs=opus", ptt: kind === "audio", seconds: 3, fileName: "um nome.bin" };
    const content = { [kind]: bytes, jpegThumbnail: "", ...more } as unknown as AnyMessageContent;
    const sent = await client.socket.sendMessage(scene.contact().lidJid, content);
    const shown = await waitFor("the media on the screen", () => scene.contact().received.get(sent!.key.id!)?.media);
    assert.equal(shown.kind, kind);
    assert.equal(shown.sha256, sha256(bytes).toString("hex"));
    assert.equal(shown.size, bytes.length);
    assert.equal(shown.intact, true);
    if (kind === "audio") assert.deepEqual([shown.ptt, shown.seconds], [true, 3]);
    if (kind === "document") assert.equal(shown.fileName, "um nome.bin");
  });
}

test("expired media is gone until the phone has uploaded it again", async () => {
  const bytes = randomBytes(2_000);
  const message = await receive({ kind: "image", mimetype: "image/png", base64: bytes.toString("base64") });
  const path = message.message!.imageMessage!.directPath!;
  scene.world.media.expire(path, 410);
  await assert.rejects(download(message));
  await client.socket.refreshMediaConn();
  const renewed = await client.socket.updateMediaMessage(message);
  assert.notEqual(renewed.message!.imageMessage!.directPath, path);
  assert.deepEqual(await download(renewed), bytes);
});

test("a phone that does not answer is asked once more", async () => {
  const bytes = randomBytes(1_000);
  const message = await receive({ kind: "image", mimetype: "image/png", base64: bytes.toString("base64") });
  const fault = scene.world.faults.add({ kind: "lose-reupload", times: 1 });
  const first = client.socket.updateMediaMessage(message);
  await waitFor("the request is lost", () => fault.struck === 1);
  assert.equal(scene.phone().companions.get(1)!.queue.size, 0); // nothing is on its way
  await client.socket.updateMediaMessage(message);
  assert.deepEqual(await download(await first), bytes);
});

test("an upload that is refused fails the send, and the next one works", async () => {
  const send = (): Promise<WAMessage | undefined> =>
    client.socket.sendMessage(scene.contact().lidJid, { document: randomBytes(100), mimetype: "application/pdf" });
  scene.world.faults.add({ kind: "refuse-upload", code: 507 });
  await assert.rejects(send(), /upload failed/i);
  scene.world.faults.clearAll();
  const sent = await send();
  await waitFor("the document", () => scene.contact().received.get(sent!.key.id!)?.media);
});

test("a phone that no longer has the media says so", async () => {
  const message = await receive({ kind: "image", mimetype: "image/png", size: 100 });
  scene.world.faults.add({ kind: "refuse-reupload", times: 1 });
  await assert.rejects(client.socket.updateMediaMessage(message), /re-upload/);
});

test("what faults do to a download shows, and only as often as asked", async () => {
  const message = await receive({ kind: "document", mimetype: "application/pdf", fileName: "a.pdf", size: 300_000 });
  scene.world.faults.add({ kind: "media-status", code: 503, times: 1 });
  await assert.rejects(download(message), /Failed to fetch/);
  scene.world.faults.add({ kind: "media-corrupt", times: 1 });
  const corrupt = await download(message).catch(() => Buffer.alloc(0));
  assert.notDeepEqual(sha256(corrupt), Buffer.from(message.message!.documentMessage!.fileSha256!));
  const url = `https://${scene.world.media.authority}${message.message!.documentMessage!.directPath!}`;
  scene.world.faults.add({ kind: "media-slow", ms: 10, times: 1 });
  const begun = performance.now();
  await download(message);
  assert.ok(performance.now() - begun >= 150, "twenty pieces, 10 ms apart");
  scene.world.faults.add({ kind: "media-page", times: 1 });
  const page = await fetch(url);
  assert.deepEqual([page.status, page.headers.get("content-type")?.includes("html")], [200, true]);
  await page.arrayBuffer();
  scene.world.faults.add({ kind: "media-truncate", times: 1 });
  await assert.rejects(fetch(url).then((response) => response.arrayBuffer()));
  assert.deepEqual(sha256(await download(message)), Buffer.from(message.message!.documentMessage!.fileSha256!));
});

test("a hostile sender's claims are sent as they are", async () => {
  const claims = { fileLength: "9223372036854775807", fileName: "../../x", url: "http://127.0.0.1:1/" };
  const message = await receive({ kind: "document", mimetype: "image/png", size: 10, claims });
  assert.equal(String(message.message!.documentMessage!.fileLength), "9223372036854775807");
  assert.equal(message.message!.documentMessage!.url, "http://127.0.0.1:1/");
});
