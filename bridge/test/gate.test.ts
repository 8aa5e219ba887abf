import assert from "node:assert/strict";
import { test } from "node:test";

import { decryptMessageNode, encodeWAMessage, proto } from "baileys";
import type { BinaryNode } from "baileys";

import { gatedRepository } from "../src/session/gate.ts";
import { decodeStanza } from "../src/session/codec.ts";
import { messageData } from "../src/session/rebuild.ts";
import { StanzaJoin } from "../src/session/stanza-join.ts";
import type { Store } from "../src/session/store.ts";
import { Party, logger, messageStanza } from "./support/signal.ts";

console.info = console.warn = console.error = (): void => undefined;

const ANA = "111111111111111@lid";
const ANAS_PHONE = "5511911110001@s.whatsapp.net";
const US = "222222222222222@lid";
const GROUP = "120363000000000000@g.us";
const ME = { id: "5511900000001:1@s.whatsapp.net", lid: US, name: null, phone: "5511900000001" };

class Gated {
  readonly join = new StanzaJoin();
  readonly party: Party;
  failures = 0;

  constructor() {
    this.party = new Party(US, (store) =>
      gatedRepository({
        store,
        join: this.join,
        fillsOf: () => [],
        onPeer: () => undefined,
        onDecryptFailure: () => {
          this.failures += 1;
        },
      }),
    );
  }

  get store(): Store {
    return this.party.store;
  }

  /** What Baileys does with a stanza up to the receipt; the stub's text when it failed. */
  async receive(node: BinaryNode): Promise<{ text: string | null; stub: string | null }> {
    // A delivery is a new object with new buffers.
    const delivered = clone(node);
    this.join.note(delivered, ME, Date.now());
    const { fullMessage, decrypt } = decryptMessageNode(
      delivered,
      ME.id,
      ME.lid,
      this.party.repository,
      logger,
    );
    await decrypt();
    return {
      text: fullMessage.message?.conversation ?? null,
      stub: fullMessage.messageStubParameters?.[0] ?? null,
    };
  }

  /** The events as the runtime would get them. */
  async events(): Promise<{ id: string; stub: string | null; text: string | undefined }[]> {
    const rows = this.store.eventsAfter(0, 100).filter(({ kind }) => kind === "message");
    const events = [];
    for (const row of rows) {
      const data = await messageData(row.inbound!, ME, this.store);
      const message = data.message as proto.IMessage | null;
      events.push({ id: data.key.id, stub: data.stub, text: message?.conversation ?? undefined });
    }
    return events;
  }
}

function clone(node: BinaryNode): BinaryNode {
  const content = Array.isArray(node.content)
    ? node.content.map(clone)
    : node.content instanceof Uint8Array
      ? Buffer.from(node.content)
      : node.content;
  return { tag: node.tag, attrs: { ...node.attrs }, ...(content ? { content } : {}) };
}

function text(conversation: string): Uint8Array {
  return encodeWAMessage({ conversation });
}

/** An answer makes Ana's session complete: what she sends next is no longer a `pkmsg`. */
async function answer(us: Gated, ana: Party): Promise<void> {
  const reply = await us.party.repository.encryptMessage({ jid: ANA, data: text("oi") });
  await ana.repository.decryptMessage({ jid: US, ...reply });
}

async function acquainted(): Promise<{ ana: Party; us: Gated }> {
  const ana = new Party(ANA);
  const us = new Gated();
  await ana.greet(us.party);
  return { ana, us };
}

test("a decrypted message is an event before Baileys has the plaintext", async () => {
  const { ana, us } = await acquainted();
  const node = await ana.stanza(us.party, "A1", text("olá"));
  assert.deepEqual(await us.receive(node), { text: "olá", stub: null });
  assert.deepEqual(await us.events(), [{ id: "A1", stub: null, text: "olá" }]);
});

test("ratchet, plaintext and event are one commit", async (context) => {
  const { ana, us } = await acquainted();
  const commit = context.mock.method(us.store, "commit");
  await us.receive(await ana.stanza(us.party, "A1", text("olá")));
  const gated = commit.mock.calls.filter(({ arguments: [, plaintexts] }) => plaintexts.length > 0);
  assert.equal(gated.length, 1);
  assert.ok(Object.keys(gated[0]!.arguments[0]).includes("session"));
  assert.equal(commit.mock.callCount(), 1);
});

test("a redelivered message is answered from the buffer, without a second event", async () => {
  const { ana, us } = await acquainted();
  const node = await ana.stanza(us.party, "A1", text("olá"));
  await us.receive(node);
  assert.deepEqual(await us.receive(node), { text: "olá", stub: null });
  assert.equal((await us.events()).length, 1);
});

test("a message redelivered after the acknowledgement is empty: receipt, but no event", async () => {
  const { ana, us } = await acquainted();
  const node = await ana.stanza(us.party, "A1", text("olá"));
  await us.receive(node);
  us.store.acknowledge(us.store.lastSeq());
  assert.deepEqual(await us.receive(node), { text: null, stub: null });
  assert.equal((await us.events()).length, 0);
});

test("a replay of the ciphertext under another sender gets nothing from the buffer", async () => {
  const { ana, us } = await acquainted();
  await us.receive(await ana.stanza(us.party, "A0", text("olá")));
  await answer(us, ana);
  const node = await ana.stanza(us.party, "A1", text("segredo"));
  await us.receive(node);
  node.attrs["from"] = "333333333333333@lid";
  const replay = await us.receive(node);
  assert.equal(replay.text, null);
  assert.ok(replay.stub);
  const forged = (await us.events()).at(-1);
  assert.deepEqual(forged, { id: "A1", stub: "ciphertext", text: undefined });
});

test("what cannot be decrypted is a stub once, and the resend fills it", async () => {
  const { ana, us } = await acquainted();
  const node = await ana.stanza(us.party, "A1", text("olá"));
  const broken = clone(node);
  const [enc] = broken.content as BinaryNode[];
  const bytes = enc!.content as Buffer;
  bytes[bytes.length - 1]! ^= 0xff;
  assert.ok((await us.receive(broken)).stub);
  await us.receive(broken);
  assert.deepEqual(await us.events(), [{ id: "A1", stub: "ciphertext", text: undefined }]);
  await us.receive(await ana.stanza(us.party, "A1", text("olá")));
  const events = await us.events();
  assert.deepEqual(events.at(-1), { id: "A1", stub: null, text: "olá" });
});

test("a group message and the sender key it brings are kept each, the event comes once", async () => {
  const { ana, us } = await acquainted();
  const group = (id: string, encs: { type: string; content: Uint8Array }[]): BinaryNode =>
    messageStanza(GROUP, id, encs, { participant: ANA, addressing_mode: "lid" });
  const first = await ana.repository.encryptGroupMessage({
    group: GROUP,
    meId: ANA,
    data: text("um"),
  });
  const distribution = encodeWAMessage({
    senderKeyDistributionMessage: {
      groupId: GROUP,
      axolotlSenderKeyDistributionMessage: first.senderKeyDistributionMessage,
    },
  });
  const distribute = async (): Promise<{ type: string; content: Uint8Array }> => {
    const { type, ciphertext } = await ana.repository.encryptMessage({
      jid: US,
      data: distribution,
    });
    return { type, content: ciphertext };
  };
  const node = group("G1", [
    await distribute(),
    { type: "skmsg", content: first.ciphertext },
  ]);
  assert.equal((await us.receive(node)).text, "um");
  assert.equal((await us.receive(node)).text, "um");

  const more = async (body: string): Promise<Uint8Array> => {
    const sent = await ana.repository.encryptGroupMessage({
      group: GROUP,
      meId: ANA,
      data: text(body),
    });
    return sent.ciphertext;
  };
  const [second, third] = [await more("dois"), await more("três")];
  // Out of order, and with the same key distributed again and again.
  await us.receive(group("G3", [{ type: "skmsg", content: third }]));
  for (let repeat = 0; repeat < 6; repeat += 1) {
    await us.receive(group(`D${repeat}`, [await distribute()]));
  }
  await us.receive(group("G2", [{ type: "skmsg", content: second }]));
  await us.receive(group("G4", [{ type: "skmsg", content: await more("quatro") }]));
  const texts = (await us.events()).filter(({ id }) => id.startsWith("G"));
  assert.deepEqual(
    texts.map((event) => event.text),
    ["um", "três", "dois", "quatro"],
  );
});

test("the sending ratchet is on disk before the ciphertext leaves, whatever transaction is open", async () => {
  const { ana, us } = await acquainted();
  await us.receive(await ana.stanza(us.party, "A1", text("olá")));
  const stored = (): string => JSON.stringify(us.store.keys("session", ["111111111111111_1.0"]));
  await us.party.keys.transaction(async () => {
    const before = stored();
    const { ciphertext, type } = await us.party.repository.encryptMessage({
      jid: ANA,
      data: text("resposta"),
    });
    assert.notEqual(stored(), before);
    // Receiving while the send transaction is still open: neither may undo the other.
    await us.receive(await ana.stanza(us.party, "A2", text("outra")));
    await ana.repository.decryptMessage({ jid: US, type, ciphertext });
  }, "sending");
  const { ciphertext, type } = await us.party.repository.encryptMessage({
    jid: ANA,
    data: text("mais uma"),
  });
  const plaintext = await ana.repository.decryptMessage({ jid: US, type, ciphertext });
  assert.ok(Buffer.from(plaintext).includes("mais uma"));
});

test("a session that was renewed survives messages of the one before", async () => {
  const { ana, us } = await acquainted();
  await us.receive(await ana.stanza(us.party, "A1", text("um")));
  await answer(us, ana);
  await us.party.greet(ana); // as Baileys does after each reconnection
  const renewed = await us.party.repository.encryptMessage({ jid: ANA, data: text("nova") });
  assert.equal((await us.receive(await ana.stanza(us.party, "A2", text("dois")))).text, "dois");
  await ana.repository.decryptMessage({ jid: US, ...renewed });
  assert.equal((await us.receive(await ana.stanza(us.party, "A3", text("três")))).text, "três");
});

test("the phone number and the LID of a person lead to one session at a time", async () => {
  const { ana, us } = await acquainted();
  const { lidMapping, encryptMessage } = us.party.repository;
  await lidMapping.storeLIDPNMappings([{ lid: ANA, pn: ANAS_PHONE }]);
  await us.receive(await ana.stanza(us.party, "A1", text("um")));
  await answer(us, ana);
  for (let round = 0; round < 5; round += 1) {
    const node = await ana.stanza(us.party, `B${round}`, text("recebida"));
    const [received, sent] = await Promise.all([
      us.receive(node),
      encryptMessage({ jid: ANAS_PHONE, data: text("enviada") }),
    ]);
    assert.equal(received.text, "recebida");
    await ana.repository.decryptMessage({ jid: US, ...sent });
  }
});

test("a LID mapping learned in a transaction that fails is stored all the same", async () => {
  const { us } = await acquainted();
  const failing = us.party.keys.transaction(async () => {
    await us.party.repository.lidMapping.storeLIDPNMappings([{ lid: ANA, pn: ANAS_PHONE }]);
    throw new Error("the socket is gone");
  }, "sending");
  await assert.rejects(failing);
  const [user] = ANAS_PHONE.split("@");
  assert.deepEqual(us.store.keys("lid-mapping", [user!]), { [user!]: "111111111111111" });
});

test("a stored stanza holds hashes in place of ciphertexts", async () => {
  const { ana, us } = await acquainted();
  const node = await ana.stanza(us.party, "A1", text("olá"));
  await us.receive(node);
  const { stanza } = us.store.inbound(1)!;
  const [enc] = decodeStanza(stanza!).content as BinaryNode[];
  assert.equal((enc!.content as Buffer).length, 32);
});
