import assert from "node:assert/strict";
import { test } from "node:test";

import { ProtocolError, encodeFrame, isConnectionId, parseFrame } from "../src/protocol.ts";
import { PLAIN } from "../src/session/behaviour.ts";
import type { Behaviour } from "../src/session/behaviour.ts";

const parse = (frame: unknown): unknown => parseFrame(JSON.stringify(frame));

test("every frame of the runtime is read", () => {
  const frames = [
    { v: 1, type: "hello", generation: 3, window: 500 },
    { v: 1, type: "open", options: PLAIN },
    { v: 1, type: "configure", options: { ...PLAIN, rejectCalls: true } },
    { v: 1, type: "close" },
    { v: 1, type: "ack", seq: 12 },
    { v: 1, type: "check", requestId: "r2", phones: ["5511987654321"] },
    { v: 1, type: "pairingCode", requestId: "r3", phone: "5511987654321" },
    { v: 1, type: "probe", requestId: "r4" },
    { v: 1, type: "read", requestId: "r5", chat: "1@lid", ids: ["3EB0ABC"] },
    { v: 1, type: "presence", requestId: "r6", to: "1@lid", state: "composing" },
    { v: 1, type: "presence", requestId: "r7", to: null, state: "available" },
    { v: 1, type: "sent", requestId: "r8", messageId: "3EB0ABC" },
    { v: 1, type: "picture", requestId: "r9", jid: "1@lid" },
    { v: 1, type: "logout", requestId: "r10", reason: "logged_out" },
    { v: 1, type: "restore", requestId: "r11", archive: "1700000000000" },
  ];
  for (const frame of frames) {
    assert.deepEqual({ v: 1, ...(parse(frame) as object) }, frame);
  }
});

test("a proxy comes with the addresses that it may be reached at, or with none", () => {
  const proxy = "socks5://u:p@proxy.example:1080";
  const read = (options: unknown): unknown => (parse({ v: 1, type: "open", options }) as { options: Behaviour }).options.proxy;
  assert.deepEqual(read({ proxy, proxyAddresses: ["1.1.1.1", "2606:4700::1"] }), { url: proxy, addresses: ["1.1.1.1", "2606:4700::1"] });
  assert.deepEqual(read({ proxy }), { url: proxy, addresses: [] });
  assert.equal(read({ proxy: null }), null);
});

test("every content is read", () => {
  const beside = { quoted: null, mentions: [] };
  const key = { id: "3EB0A", fromMe: false, participant: null };
  const cases: [unknown, unknown][] = [
    [{ text: "oi" }, { type: "text", text: "oi", link: null, ...beside }],
    [
      { text: "veja https://x", link: { url: "https://x", title: "X" } },
      { type: "text", text: "veja https://x", link: { url: "https://x", title: "X", description: null }, ...beside },
    ],
    [
      { text: "oi", quoted: { ...key, text: "antes" }, mentions: ["5511987654321@s.whatsapp.net"] },
      {
        type: "text",
        text: "oi",
        link: null,
        quoted: { ...key, text: "antes" },
        mentions: ["5511987654321@s.whatsapp.net"],
      },
    ],
    [
      { location: { latitude: -23.5, longitude: -46.6, name: "Loja" } },
      { type: "location", latitude: -23.5, longitude: -46.6, name: "Loja", address: null, ...beside },
    ],
    [
      { contacts: [{ name: "Ana", vcard: "BEGIN:VCARD" }] },
      { type: "contacts", contacts: [{ name: "Ana", vcard: "BEGIN:VCARD" }], ...beside },
    ],
    [
      { poll: { name: "Quando?", options: ["hoje", "amanhã"] } },
      { type: "poll", name: "Quando?", options: ["hoje", "amanhã"], selectable: 1, ...beside },
    ],
    [{ reaction: { key, text: "👍" } }, { type: "reaction", key, text: "👍" }],
    [{ edit: { key, text: "novo" } }, { type: "edit", key, text: "novo" }],
    [{ delete: { key } }, { type: "delete", key }],
  ];
  for (const [given, expected] of cases) {
    const frame = parse({ v: 1, type: "send", requestId: "r", messageId: "m", to: "1@lid", content: given });
    assert.deepEqual((frame as { content: unknown }).content, expected);
  }
});

test("whatever is not in the protocol is refused with what is wrong", () => {
  const send = { v: 1, type: "send", requestId: "r", messageId: "m", to: "1@lid" };
  const cases: [unknown, RegExp][] = [
    ["text", /not an object/],
    [[], /not an object/],
    [null, /not an object/],
    [{ type: "open" }, /version/],
    [{ v: 2, type: "open" }, /version/],
    [{ v: 1, type: "reboot" }, /unknown frame type/],
    [{ v: 1, type: "toString" }, /unknown frame type/],
    [{ v: 1, type: "hello", generation: 1 }, /window/],
    [{ v: 1, type: "hello", generation: 1, window: 0 }, /window/],
    [{ v: 1, type: "hello", generation: "1", window: 5 }, /generation/],
    [{ v: 1, type: "ack", seq: 1.5 }, /seq/],
    [{ v: 1, type: "ack", seq: -1 }, /seq/],
    [{ ...send, content: {} }, /content/],
    [{ ...send, content: { text: "" } }, /content/],
    [{ ...send, content: { text: "a", image: "b" } }, /content/],
    [{ ...send, to: "someone", content: { text: "a" } }, /to/],
    [{ ...send, to: "1@evil.example", content: { text: "a" } }, /to/],
    [{ ...send, messageId: "a b", content: { text: "a" } }, /messageId/],
    [{ ...send, requestId: "", content: { text: "a" } }, /requestId/],
    [{ ...send, content: { text: "a", quoted: { id: "x".repeat(256), text: "" } } }, /key.id/],
    [{ ...send, content: { text: "a", link: { url: "https://x" } } }, /title/],
    [{ ...send, content: { edit: {}, link: { url: "https://x", title: "X" } } }, /link/],
    [{ ...send, content: { location: { latitude: 91, longitude: 0 } } }, /degrees/],
    [{ ...send, content: { poll: { name: "a", options: ["só uma"] } } }, /options/],
    [{ ...send, content: { contacts: [] } }, /contacts/],
    [{ ...send, content: { reaction: { key: {}, text: "" } } }, /key.id/],
    [{ v: 1, type: "open", options: { proxy: 7 } }, /proxy/],
    [{ v: 1, type: "open", options: { proxy: "http://a:1", proxyAddresses: ["proxy.example"] } }, /proxyAddresses/],
    [{ v: 1, type: "open", options: { proxy: "http://a:1", proxyAddresses: "1.1.1.1" } }, /proxyAddresses/],
    [{ v: 1, type: "restore", requestId: "r", archive: "../x" }, /archive/],
    [{ v: 1, type: "logout", requestId: "r", reason: "../x" }, /reason/],
    [{ v: 1, type: "configure", options: { rejectCalls: "yes" } }, /rejectCalls/],
    [{ v: 1, type: "presence", requestId: "r", to: "1@lid", state: "dancing" }, /state/],
    [{ v: 1, type: "read", requestId: "r", chat: "1@lid", ids: [] }, /ids/],
    [{ v: 1, type: "check", requestId: "r", phones: [] }, /phones/],
    [{ v: 1, type: "check", requestId: "r", phones: ["+55"] }, /phones/],
    [{ v: 1, type: "check", requestId: "r", phones: Array(51).fill("5511987654321") }, /phones/],
    [{ v: 1, type: "pairingCode", requestId: "r", phone: "abc" }, /phone/],
    [{ v: 1, type: "group", requestId: "r", jid: "5511987654321@s.whatsapp.net" }, /jid/],
  ];
  for (const [frame, message] of cases) {
    assert.throws(
      () => parse(frame),
      (error) => error instanceof ProtocolError && message.test(error.message),
      JSON.stringify(frame),
    );
  }
  assert.throws(() => parseFrame("{"), ProtocolError);
});

test("frames of the bridge carry the version", () => {
  assert.equal(encodeFrame({ type: "fault", message: "x" }), '{"v":1,"type":"fault","message":"x"}');
});

test("a connection id is a plain name, never a path", () => {
  for (const id of ["a", "tmp_Abc-123", "x".repeat(64)]) assert.ok(isConnectionId(id));
  for (const id of ["", "..", "a/b", "a.b", "a%2f", "x".repeat(65), "a\n", "é"]) {
    assert.equal(isConnectionId(id), false, id);
  }
});
