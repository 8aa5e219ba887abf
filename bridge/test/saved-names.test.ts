import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";

import { PLAIN } from "../src/session/behaviour.ts";
import { watchPeople } from "../src/session/people.ts";
import type { Watched } from "../src/session/people.ts";

test("how somebody is saved on the phone is told, for people only and only with a name", () => {
  const told: unknown[] = [];
  const ev = new EventEmitter();
  const stop = watchPeople({
    sock: { ev } as unknown as Watched["sock"],
    life: { alive: true },
    store: {
      appendEvents: (events: readonly unknown[]) => told.push(...events),
      keys: () => ({}),
    } as unknown as Watched["store"],
    behaviour: () => PLAIN,
    attempt: () => undefined,
    onPresence: () => undefined,
  });
  ev.emit("contacts.upsert", [
    { id: "5511987654321@s.whatsapp.net", name: "João (Padaria)" },
    { id: "77@lid", phoneNumber: "5511987650000@s.whatsapp.net", name: "Ana" },
    { id: "1203630@g.us", name: "Turma" },
  ]);
  ev.emit("contacts.update", [{ id: "5511987654321@s.whatsapp.net", notify: "Jô" }]);
  assert.deepEqual(told, [
    { kind: "contact", data: { jid: "5511987654321@s.whatsapp.net", phone: "5511987654321", lid: null, name: "João (Padaria)" } },
    { kind: "contact", data: { jid: "77@lid", phone: "5511987650000", lid: "77@lid", name: "Ana" } },
  ]);
  stop();
  ev.emit("contacts.upsert", [{ id: "5511987654321@s.whatsapp.net", name: "X" }]);
  assert.equal(told.length, 2);
});
