import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox } from "../src/events/outbox.ts";
import { ProtocolError } from "../src/protocol.ts";
import { temporaryStore } from "./support/signal.ts";
import { waitFor } from "./support/wait.ts";

function setUp(events: number): {
  sent: number[];
  outbox: Outbox;
  store: ReturnType<typeof temporaryStore>;
} {
  const store = temporaryStore();
  const sent: number[] = [];
  const outbox = new Outbox({
    store,
    render: (event) => Promise.resolve(event.data ?? ""),
    send: ({ seq }) => sent.push(seq),
    onError: (error) => assert.fail(String(error)),
  });
  store.appendEvents(Array.from({ length: events }, () => ({ kind: "call" as const, data: {} })));
  return { sent, outbox, store };
}

test("no more than the window is in flight, an acknowledgement lets the next ones go", async () => {
  const { sent, outbox } = setUp(10);
  outbox.start(4);
  await waitFor("the window", () => sent.length === 4);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sent, [1, 2, 3, 4]);
  outbox.acknowledge(2);
  await waitFor("two more", () => sent.length === 6);
  outbox.acknowledge(6);
  await waitFor("the rest", () => sent.length === 10);
  assert.deepEqual(sent, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  outbox.stop();
});

test("an event that comes later goes out by itself", async () => {
  const { sent, outbox, store } = setUp(0);
  outbox.start(4);
  store.appendEvents([{ kind: "call", data: {} }]);
  await waitFor("the event", () => sent.length === 1);
  outbox.stop();
});

test("acknowledged events are erased when it stops, at the latest", async () => {
  const { sent, outbox, store } = setUp(3);
  outbox.start(4);
  await waitFor("the events", () => sent.length === 3);
  outbox.acknowledge(2);
  outbox.stop();
  assert.deepEqual(store.eventsAfter(0, 10).map(({ seq }) => seq), [3]);
});

test("what an earlier outbox sent may still be acknowledged and is not sent again", async () => {
  const { sent, outbox } = setUp(3);
  outbox.start(4);
  outbox.acknowledge(2);
  await waitFor("the last one", () => sent.length === 1);
  assert.deepEqual(sent, [3]);
  outbox.stop();
});

test("an acknowledgement of what does not exist is refused", () => {
  const { outbox } = setUp(3);
  assert.throws(() => outbox.acknowledge(4), ProtocolError);
});
