import assert from "node:assert/strict";
import { test } from "node:test";

import type { GroupMetadata } from "baileys";

import { GroupCache } from "../src/session/groups.ts";
import type { Socket } from "../src/session/socket.ts";

const GROUP = "120363041234567890@g.us";

function socket(answer: () => Promise<GroupMetadata>): { sock: Socket; asked: () => number } {
  let count = 0;
  const groupMetadata = (): Promise<GroupMetadata> => {
    count += 1;
    return answer();
  };
  return { sock: { groupMetadata, ev: { on: () => undefined } } as unknown as Socket, asked: () => count };
}

test("a group is asked for once, waiting until the socket is open", async () => {
  const groups = new GroupCache();
  const { sock, asked } = socket(() => Promise.resolve({ id: GROUP } as GroupMetadata));
  let open: Socket | null = null;
  setTimeout(() => (open = sock), 100);
  assert.equal((await groups.find(() => open, GROUP))?.id, GROUP);
  assert.equal((await groups.find(() => null, GROUP))?.id, GROUP);
  assert.equal(asked(), 1);
});

test("what cannot be had is not asked for again and again, but by the next socket", async () => {
  const groups = new GroupCache();
  const { sock, asked } = socket(() => Promise.reject(new Error("forbidden")));
  assert.equal(await groups.find(() => sock, GROUP), null);
  assert.equal(await groups.find(() => sock, GROUP), null);
  assert.equal(asked(), 1);
  groups.watch(sock);
  assert.equal(await groups.find(() => sock, GROUP), null);
  assert.equal(asked(), 2);
});
