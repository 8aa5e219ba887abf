import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { type BaileysEventMap, decryptPollVote, proto } from "baileys";
import { postNews, postStatus } from "../src/broadcasts.ts";
import { createGroup, renameGroup } from "../src/groups.ts";
import { MEDIA_CERTIFICATE } from "../src/media-certificate.ts";
import { sendContent } from "../src/outgoing.ts";
import { changePicture } from "../src/pictures.ts";
import { vote } from "../src/polls.ts";
import { acknowledge, readOnPhone } from "../src/receipts.ts";
import { type Client, textOf } from "./support/client.ts";
import { Scene } from "./support/scene.ts";
import { waitFor } from "./support/wait.ts";

setDefaultCACertificates([...getCACertificates("default"), MEDIA_CERTIFICATE]);

let scene: Scene;
let client: Client;
const contacts: BaileysEventMap["contacts.update"] = [];
const groups: BaileysEventMap["groups.update"] = [];

before(async () => {
  scene = await Scene.start();
  client = await scene.paired();
  client.socket.ev.on("contacts.update", (updates) => contacts.push(...updates));
  client.socket.ev.on("groups.update", (updates) => groups.push(...updates));
});

after(() => scene.close());

const arrived = (id: string) =>
  waitFor("the message", () => client.upserts.find(({ message }) => message.key.id === id)?.message);

test("a picture that changes is told to who knows the contact", async () => {
  const customer = scene.contact();
  await client.send(customer.lidJid, "olá");
  changePicture(scene.world, customer, "https://pps.example/a.jpg");
  await waitFor("the change", () => contacts.some(({ id, imgUrl }) => id === customer.lidJid && imgUrl === "changed"));
  assert.equal(await client.socket.profilePictureUrl(customer.lidJid), "https://pps.example/a.jpg");
  changePicture(scene.world, customer, undefined);
  await waitFor("the removal", () => contacts.some(({ imgUrl }) => imgUrl === "removed"));
});

test("a group that is renamed is told to its members", async () => {
  const group = createGroup("Um", [scene.contact(), scene.phone()]);
  scene.world.groups.set(group.jid, group);
  renameGroup(scene.world, group, "Dois");
  await waitFor("the new name", () => groups.some(({ id, subject }) => id === group.jid && subject === "Dois"));
  assert.equal((await client.socket.groupMetadata(group.jid)).subject, "Dois");
});

test("what is read on the phone is told to its companions", async () => {
  const customer = scene.contact();
  const id = scene.write(customer, scene.phone(), "para ler");
  await arrived(id);
  assert.deepEqual(readOnPhone(scene.world, scene.phone(), customer), [id]);
  const read = await waitFor("the receipt", () => client.updates.find(({ key }) => key.id === id));
  assert.deepEqual([read.key.fromMe, read.key.remoteJid, read.update.status], [false, customer.lidJid, 4]);
  assert.notEqual(customer.sent.get(id)?.readAt, undefined);
  assert.deepEqual(readOnPhone(scene.world, scene.phone(), customer), []);
});

test("a voice message is played", async () => {
  const customer = scene.contact();
  const audio = { audio: Buffer.from("OggS"), ptt: true, mimetype: "audio/ogg", seconds: 1 };
  const sent = await client.socket.sendMessage(customer.lidJid, audio);
  const id = sent!.key.id!;
  await waitFor("the sound", () => customer.received.get(id));
  const played: string[] = [];
  client.socket.ws.on("CB:receipt,type:played", ({ attrs }: { attrs: { id: string } }) => played.push(attrs.id));
  assert.deepEqual(acknowledge(scene.world, customer, "played"), [id]);
  await waitFor("the receipt", () => played.includes(id));
});

for (const addressing of ["lid", "pn"] as const) {
  test(`a vote of a contact that is addressed by ${addressing} is what Baileys can read`, async () => {
    const customer = scene.contact();
    customer.addressing = addressing;
    const poll = await client.socket.sendMessage(customer.lidJid, { poll: { name: "?", values: ["a", "b"] } });
    const id = poll!.key.id!;
    await waitFor("the poll", () => customer.received.get(id));
    const sending = sendContent(scene.world, customer, { account: scene.phone() }, vote(scene.world, customer, id, ["b"]));
    const update = (await arrived(sending.id)).message!.pollUpdateMessage!;
    const lid = addressing === "lid";
    const { selectedOptions } = decryptPollVote(update.vote as proto.Message.IPollEncValue, {
      pollCreatorJid: lid ? scene.phone().lidJid : scene.phone().pnJid,
      voterJid: lid ? customer.lidJid : customer.pnJid,
      pollMsgId: id,
      pollEncKey: poll!.message!.messageContextInfo!.messageSecret!,
    });
    assert.equal(selectedOptions?.length, 1);
    assert.throws(() => vote(scene.world, customer, "3A00", ["b"]), RangeError);
  });
}

test("status updates and newsletters arrive as such", async () => {
  const status = await arrived(await postStatus(scene.world, scene.contact(), scene.phone(), "almoço"));
  assert.deepEqual([status.key.remoteJid, textOf(status)], ["status@broadcast", "almoço"]);
  const news = await arrived(postNews(scene.world, scene.phone(), "manchete"));
  assert.match(news.key.remoteJid!, /@newsletter$/);
  await waitFor("the settled queue", () => scene.phone().companions.get(1)?.queue.size === 0);
});

test("view-once content is not for companions", async () => {
  const content = { viewOnceMessageV2: { message: { imageMessage: { viewOnce: true } } } };
  const { id } = sendContent(scene.world, scene.contact(), { account: scene.phone() }, content);
  const message = await arrived(id);
  assert.deepEqual([message.key.isViewOnce, message.message ?? null], [true, null]);
});
