import assert from "node:assert/strict";
import { test } from "node:test";

import { ProtocolError, encodeFrame, isConnectionId, parseFrame } from "../src/protocol.ts";

const parse = (frame: unknown): unknown => parseFrame(JSON.stringify(frame));

test("every frame of the runtime is read", () => {
  const frames = [
    { v: 1, type: "hello", generation: 3, window: 500 },
    { v: 1, type: "open" },
    { v: 1, type: "close" },
    { v: 1, type: "ack", seq: 12 },
    {
      v: 1,
      type: "send",
      requestId: "r1",
      messageId: "3EB0ABC",
      to: "5511987654321@s.whatsapp.net",
      content: { text: "oi" },
    },
    { v: 1, type: "check", requestId: "r2", phones: ["5511987654321"] },
    { v: 1, type: "pairingCode", requestId: "r3", phone: "5511987654321" },
    { v: 1, type: "probe", requestId: "r4" },
    { v: 1, type: "logout", requestId: "r5" },
  ];
  for (const frame of frames) {
    assert.deepEqual({ v: 1, ...(parse(frame) as object) }, frame);
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
    [{ v: 1, type: "check", requestId: "r", phones: [] }, /phones/],
    [{ v: 1, type: "check", requestId: "r", phones: ["+55"] }, /phones/],
    [{ v: 1, type: "check", requestId: "r", phones: Array(51).fill("5511987654321") }, /phones/],
    [{ v: 1, type: "pairingCode", requestId: "r", phone: "abc" }, /phone/],
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
