import assert from "node:assert/strict";
import { test } from "node:test";

import { DeadlineExceeded, ProgressDeadline, within } from "../src/session/deadline.ts";
import { TtlCache } from "../src/session/ttl-cache.ts";

test("progress keeps a deadline away, but not for ever", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let expired = 0;
  const deadline = new ProgressDeadline(20, 50, () => {
    expired += 1;
  });
  for (let step = 0; step < 4; step += 1) {
    context.mock.timers.tick(12);
    deadline.touch();
  }
  assert.equal(expired, 0);
  context.mock.timers.tick(2);
  assert.equal(expired, 1);
  context.mock.timers.tick(100);
  assert.equal(expired, 1);
});

test("a stopped deadline stays stopped, whatever progress follows", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const deadline = new ProgressDeadline(20, null, () => assert.fail("expired"));
  deadline.stop();
  deadline.touch();
  context.mock.timers.tick(100);
});

test("waiting is bounded", async () => {
  await assert.rejects(within(5, new Promise(() => undefined), "it"), DeadlineExceeded);
  assert.equal(await within(1000, Promise.resolve(1), "it"), 1);
});

test("a cache forgets by age and by number", () => {
  let now = 0;
  const cache = new TtlCache(10, 2, () => now);
  cache.set("a", 1);
  now = 5;
  cache.set("b", 2);
  cache.set("c", 3);
  assert.deepEqual([cache.get("a"), cache.get("b"), cache.get("c")], [undefined, 2, 3]);
  now = 15;
  assert.equal(cache.get("b"), undefined);
});
