import assert from "node:assert/strict";
import { test } from "node:test";

import type { WAMessage } from "baileys";

import { importable } from "../src/session/history.ts";

const NOW = Date.UTC(2026, 0, 31);
const DAY = 24 * 60 * 60;

/** As phones tell it: the newest first. */
function message(id: string, daysAgo: number, remoteJid = "5521987650001@s.whatsapp.net"): WAMessage {
  const messageTimestamp = NOW / 1000 - daysAgo * DAY;
  return { key: { id, remoteJid, fromMe: false }, messageTimestamp, message: { conversation: id } } as WAMessage;
}

const idsOf = (messages: WAMessage[]): unknown[] => messages.map(({ key }) => key.id);
const bound = { days: 7, maxMessages: 3, alreadyImported: 0 };

test("the newest within the bound, the oldest of them first", () => {
  const told = [1, 2, 3, 4].map((days) => message(`d${days}`, days));
  assert.deepEqual(idsOf(importable(told, bound, NOW)), ["d3", "d2", "d1"]);
  assert.deepEqual(idsOf(importable(told, { ...bound, alreadyImported: 2 }, NOW)), ["d1"]);
  assert.deepEqual(importable(told, { ...bound, alreadyImported: 3 }, NOW), []);
});

test("what is older than the days asked for is left out", () => {
  const told = [message("in", 6.9), message("out", 7.1), message("ancient", 400)];
  assert.deepEqual(idsOf(importable(told, bound, NOW)), ["in"]);
});

test("of one second the order of the phone is turned", () => {
  assert.deepEqual(idsOf(importable([message("b", 1), message("a", 1)], bound, NOW)), ["a", "b"]);
});

test("only chats of two, and only what has content", () => {
  const told = [
    message("group", 1, "120363000000000000@g.us"),
    message("status", 1, "status@broadcast"),
    message("news", 1, "1@newsletter"),
    { ...message("empty", 1), message: null } as unknown as WAMessage,
    message("lid", 1, "222222222222222@lid"),
  ];
  assert.deepEqual(idsOf(importable(told, { ...bound, maxMessages: 100 }, NOW)), ["lid"]);
});
