import assert from "node:assert/strict";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { mediaContent } from "../src/media/content.ts";
import { MEDIA_KINDS } from "../src/media/download.ts";
import { ProtocolError } from "../src/protocol.ts";
import { Bridge, TOKEN } from "./support/bridge.ts";
import type { Runtime } from "./support/runtime.ts";
import { waitFor } from "./support/wait.ts";
import { WhatsApp } from "./support/whatsapp.ts";
import type { ReceivedRecord } from "./support/whatsapp.ts";

const PHONE = "5511900000021";
const CUSTOMER = "5511911110021";
const MIB = 1024 * 1024;

type Json = Record<string, unknown>;
interface Outcome extends Json {
  readonly status: number;
}

interface Order extends Json {
  readonly file: string;
  readonly media: Json;
}

let data: string;
let media: string;
let whatsapp: WhatsApp;
let bridge: Bridge;
let runtime: Runtime;

before(async () => {
  data = await mkdtemp(join(tmpdir(), "bridge media "));
  media = join(data, "media");
  whatsapp = await WhatsApp.start();
  await whatsapp.phone(PHONE);
  await whatsapp.contact(CUSTOMER);
  bridge = await Bridge.start({ data, media, whatsappUrl: whatsapp.url });
  runtime = await bridge.attach("main");
  runtime.autoAck = true;
  await runtime.hello();
  await whatsapp.pair(runtime, PHONE);
});

afterEach(() => whatsapp.call("DELETE", "/faults"));

after(async () => {
  await bridge?.stop();
  await whatsapp?.close();
  await rm(data, { recursive: true });
});

async function post(
  action: string,
  body: Json,
  { connection = "main", signal }: { connection?: string; signal?: AbortSignal } = {},
): Promise<Outcome> {
  const response = await fetch(
    `http://127.0.0.1:${bridge.port}/connections/${connection}/media/${action}`,
    {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify(body),
      ...(signal ? { signal } : {}),
    },
  );
  return { status: response.status, ...((await response.json()) as Json) };
}

/** What the runtime asks for after a contact has sent this media. */
async function arrived(fields: Json): Promise<{ id: string; order: Order }> {
  const [id] = await whatsapp.write(CUSTOMER, PHONE, { media: fields });
  const { data: event } = await runtime.message(id!);
  const kind = String(fields["kind"]);
  const order = {
    file: randomUUID(),
    kind,
    media: JSON.parse(JSON.stringify(event.message![`${kind}Message`])) as Json,
    key: event.key,
    maxBytes: 10 * MIB,
  };
  return { id: id!, order };
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const IMAGE = { kind: "image", mimetype: "image/png" };

for (const kind of MEDIA_KINDS) {
  test(`${kind} is downloaded to the named file, byte for byte`, async () => {
    const bytes = randomBytes(70_001);
    const { order } = await arrived({ kind, mimetype: "x/y", base64: bytes.toString("base64") });
    const done = await post("download", order);
    assert.deepEqual([done.status, done["size"], done["sha256"]], [200, 70_001, hashOf(bytes)]);
    assert.deepEqual(await readFile(join(media, order.file)), bytes);
  });

  test(`${kind} is uploaded once and sent to two customers`, async () => {
    const bytes = randomBytes(50_000);
    const file = randomUUID();
    await writeFile(join(media, file), bytes);
    const { uploads } = await whatsapp.call<{ uploads: number }>("GET", "/media");
    const done = await post("upload", { file, kind, mimetype: "audio/ogg; codecs=opus", ptt: true });
    assert.equal(done.status, 200, JSON.stringify(done));
    for (const messageId of [`3EB0${randomUUID()}`, `3EB0${randomUUID()}`]) {
      const part = { upload: done["upload"], caption: "segue", fileName: "conta.pdf" };
      const reply = await runtime.request("send", {
        messageId,
        to: `${CUSTOMER}@s.whatsapp.net`,
        content: { [kind]: part },
      });
      assert.equal(reply["ok"], true, JSON.stringify(reply));
      const shown = await waitFor("the media on the screen", async () =>
        (await whatsapp.inbox(CUSTOMER)).find(({ id }) => id === messageId),
      );
      const record = (shown as ReceivedRecord & { media: Json }).media;
      assert.deepEqual([record["kind"], record["sha256"]], [kind, hashOf(bytes)]);
      assert.equal(record["intact"], true);
      assert.equal(record["ptt"], kind === "audio");
      if (kind === "document") assert.equal(record["fileName"], "conta.pdf");
      if (kind !== "audio" && kind !== "sticker") assert.equal(record["caption"], "segue");
    }
    assert.equal((await whatsapp.call<{ uploads: number }>("GET", "/media")).uploads, uploads + 1);
  });
}

test("expired media is fetched after the phone has uploaded it again", async () => {
  for (const code of [404, 410]) {
    const { id, order } = await arrived({ ...IMAGE, size: 5000 });
    await whatsapp.post("/media/expire", { id, code });
    const done = await post("download", order);
    assert.deepEqual([done.status, done["size"]], [200, 5000], JSON.stringify(done));
    assert.notEqual(done["directPath"], order.media["directPath"]);
  }
});

test("a phone that no longer has the media ends it", async () => {
  const { id, order } = await arrived({ ...IMAGE, size: 10 });
  await whatsapp.post("/media/expire", { id });
  await whatsapp.fault({ kind: "refuse-reupload", times: 1 });
  const refused = await post("download", order);
  assert.deepEqual(
    [refused.status, refused["code"], refused["retryable"]],
    [422, "media_gone", false],
  );
});

test("a page in place of the media is no news of it, whatever the phone says", async () => {
  for (const code of [403, 404, 410]) {
    const { order } = await arrived({ ...IMAGE, size: 10 });
    await whatsapp.fault({ kind: "media-page", code, times: 1 });
    await whatsapp.fault({ kind: "refuse-reupload", times: 1 });
    const failed = await post("download", order);
    assert.deepEqual([failed["code"], failed["retryable"]], ["media_host", true]);
    assert.equal((await post("download", order)).status, 200);
  }
});

test("an error on the phone is not the end of its media", async () => {
  for (const code of [0, 3, 99]) {
    const { id, order } = await arrived({ ...IMAGE, size: 10 });
    await whatsapp.post("/media/expire", { id });
    await whatsapp.fault({ kind: "refuse-reupload", code, times: 1 });
    const failed = await post("download", order);
    assert.deepEqual([failed["code"], failed["retryable"]], ["reupload_failed", true]);
    assert.equal((await post("download", order)).status, 200);
  }
});

const TRANSIENT: readonly (readonly [Json, string])[] = [
  [{ kind: "media-status", code: 503 }, "media_host"],
  [{ kind: "media-truncate" }, "media_interrupted"],
  [{ kind: "media-corrupt" }, "media_corrupt"],
  [{ kind: "media-page" }, "media_host"],
  [{ kind: "media-page", code: 503 }, "media_host"],
];
for (const [fault, code] of TRANSIENT) {
  test(`${Object.values(fault).join(" ")}: ${code}, nothing is left, the next attempt succeeds`, async () => {
    const { order } = await arrived({ ...IMAGE, size: 400_000 });
    await whatsapp.fault({ ...fault, times: 1 });
    const failed = await post("download", order);
    assert.deepEqual([failed.status, failed["code"], failed["retryable"]], [422, code, true]);
    assert.deepEqual((await readdir(media)).filter((name) => name.startsWith(order.file)), []);
    assert.equal((await post("download", order)).status, 200);
    assert.equal(bridge.hasExited, false);
  });
}

test("a hash that is not the content's is refused; a wrong length with the right hash is not", async () => {
  const lie = randomBytes(32).toString("base64");
  const wrong = await arrived({ ...IMAGE, size: 1000, claims: { fileSha256: lie } });
  assert.equal((await post("download", wrong.order))["code"], "media_corrupt");
  const long = await arrived({ ...IMAGE, size: 1000, claims: { fileLength: 9 } });
  assert.equal((await post("download", long.order))["size"], 1000);
});

test("the limit holds whatever the message says", async () => {
  const { order } = await arrived({ ...IMAGE, size: 300_000, claims: { fileLength: 10 } });
  const failed = await post("download", { ...order, maxBytes: 200_000 });
  assert.deepEqual([failed["code"], failed["retryable"]], ["media_too_large", false]);
});

test("the sender's address is never visited, and a path cannot become a host", async () => {
  const elsewhere = { url: "https://127.0.0.1:1/steal", directPath: undefined };
  const { order } = await arrived({ ...IMAGE, size: 10 });
  for (const directPath of [undefined, "", "@127.0.0.1/x", ".evil.example/x", ":1/x", "/a\r\nb"]) {
    const failed = await post("download", {
      ...order,
      media: { ...order.media, ...elsewhere, directPath },
    });
    assert.deepEqual([failed["code"], failed["retryable"]], ["media_unusable", false]);
  }
});

test("a slow download goes on; whoever hangs up ends it", async () => {
  const { order } = await arrived({ ...IMAGE, size: 100_000 });
  await whatsapp.fault({ kind: "media-slow", ms: 10, times: 1 });
  assert.equal((await post("download", order)).status, 200);
  await whatsapp.fault({ kind: "media-slow", ms: 60_000, times: 1 });
  const controller = new AbortController();
  const file = randomUUID();
  const pending = post("download", { ...order, file }, { signal: controller.signal });
  const partial = (): Promise<boolean> =>
    readdir(media).then((names) => names.includes(`${file}.part`));
  await waitFor("the download to begin", partial);
  controller.abort();
  await assert.rejects(pending);
  await waitFor("its end", async () => !(await partial()));
});

test("a hundred megabytes pass without being held in memory", { timeout: 120_000 }, async () => {
  const size = 100 * MIB;
  const { order } = await arrived({ kind: "document", mimetype: "application/zip", size });
  const rss = async (): Promise<number> =>
    ((await (await bridge.health()).json()) as { rssBytes: number }).rssBytes;
  const before = await rss();
  let highest = before;
  const watch = setInterval(() => {
    void rss().then((now) => (highest = Math.max(highest, now)));
  }, 20);
  const done = await post("download", { ...order, maxBytes: size });
  assert.equal(done["size"], size, JSON.stringify(done));
  const sent = await post("upload", { file: order.file, kind: "document", mimetype: "x/y" });
  clearInterval(watch);
  assert.equal(sent.status, 200, JSON.stringify(sent));
  // Held in memory it would be a hundred at least; what the collector leaves lying varies.
  assert.ok(highest - before < 90 * MIB, `grew by ${Math.round((highest - before) / MIB)} MiB`);
  await rm(join(media, order.file));
});

test("without a connection: retryable", async () => {
  const file = randomUUID();
  await writeFile(join(media, file), "x");
  const failed = await post("upload", { file, kind: "image", mimetype: "a/b" }, { connection: "no" });
  assert.deepEqual([failed["code"], failed["retryable"]], ["not_connected", true]);
});

test("a failed upload is an answer", async () => {
  await whatsapp.fault({ kind: "refuse-upload", code: 503 });
  const file = randomUUID();
  await writeFile(join(media, file), "x");
  const failed = await post("upload", { file, kind: "image", mimetype: "a/b" });
  assert.deepEqual([failed["code"], failed["retryable"]], ["upload_failed", true]);
});

test("names lead nowhere but into the directory", async () => {
  for (const file of ["../main.sqlite", "a/b", "", ".", "/etc/passwd", "a\0b", 7, null, "A".repeat(200)]) {
    const refused = await post("upload", { file, kind: "image", mimetype: "a/b" });
    assert.equal(refused.status, 400, String(file));
  }
  const link = randomUUID();
  await symlink("/etc/passwd", join(media, link));
  const refused = await post("upload", { file: link, kind: "image", mimetype: "a/b" });
  assert.equal(refused["code"], "file_missing");
});

test("no token, no media", async () => {
  const response = await fetch(`http://127.0.0.1:${bridge.port}/connections/main/media/upload`, {
    method: "POST",
    body: "{}",
  });
  assert.equal(response.status, 401);
});

test("content of frames: exactly one kind, an upload, nothing else", () => {
  const upload = "CgMKAWE=";
  assert.deepEqual(mediaContent({ image: { upload, caption: "x" } }), {
    kind: "image",
    upload,
    caption: "x",
    fileName: null,
    viewOnce: false,
    quoted: null,
    mentions: [],
  });
  assert.equal(mediaContent({ text: "x" }), null);
  for (const content of [
    { image: { upload }, text: "x" },
    { image: { upload }, video: { upload } },
    { image: {} },
    { image: null },
    { image: { upload: "../x" } },
    { image: { upload, path: "/etc/passwd" } },
    { image: { upload, caption: 7 } },
    { image: { upload, viewOnce: "yes" } },
    { image: { upload, quoted: { id: "3A" } } },
    { image: { upload, mentions: ["ana"] } },
    { document: { upload, fileName: "x".repeat(300) } },
  ]) {
    assert.throws(() => mediaContent(content as Json), ProtocolError, JSON.stringify(content));
  }
});
