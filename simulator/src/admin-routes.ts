// The admin API's calls.
import type { Account, Role } from "./account.ts";
import { type AdminRequest, HttpError } from "./admin.ts";
import { postNews, postStatus } from "./broadcasts.ts";
import { readContent } from "./content.ts";
import { applyFault } from "./fault-actions.ts";
import { FAULT_KINDS } from "./faults.ts";
import { oneOf, optionalFlag, optionalInteger, optionalText, text, texts } from "./fields.ts";
import { createGroup, renameGroup } from "./groups.ts";
import { parseNumber } from "./jid.ts";
import { receivedBy, sentBy } from "./ledger.ts";
import { composeMedia, mediaMessage } from "./media-messages.ts";
import { type Attributes, sendContent, type Target } from "./outgoing.ts";
import { enterPairingCode, logOut, scan } from "./phone.ts";
import { customerLine, customerName } from "./phrases.ts";
import { changePicture } from "./pictures.ts";
import { vote } from "./polls.ts";
import { acknowledge, readOnPhone, type ReceiptType } from "./receipts.ts";
import { CHAT_STATES, call, showChatState, signalsOf } from "./signals.ts";
import { describeAccount, describeGroup, describeMedia, describeState, faultView } from "./views.ts";
import { messageId, type World } from "./world.ts";

type Route = readonly [method: string, pattern: string, handle: (request: AdminRequest) => unknown];

export const routes: readonly Route[] = [
  ["GET", "/health", () => ({ status: "ok" })],
  ["GET", "/state", ({ world }) => describeState(world)],

  ["POST", "/phones", (request) => describeAccount(create(request, "phone"))],
  ["GET", "/phones/:number", (request) => describeAccount(find(request, "phone"))],
  ["POST", "/phones/:number/scan", async (request) => {
    const companion = await scan(request.world, find(request, "phone"), text(request.body, "qr"));
    return { device: companion.device, jid: companion.pnJid, lid: companion.lidJid };
  }],
  ["POST", "/phones/:number/pair", async (request) => {
    const companion = await enterPairingCode(request.world, find(request, "phone"), text(request.body, "code"));
    return { device: companion.device, jid: companion.pnJid, lid: companion.lidJid };
  }],
  ["POST", "/phones/:number/logout", (request) => ({
    devices: logOut(request.world, find(request, "phone"), optionalInteger(request.body, "device", 1)),
  })],
  ["POST", "/phones/:number/send", (request) => send(request, find(request, "phone"))],
  ["POST", "/phones/:number/read", (request) => ({
    ids: readOnPhone(request.world, find(request, "phone"), findAccount(request.world, text(request.body, "chat"))),
  })],
  ["POST", "/phones/:number/news", (request) => ({
    ids: [postNews(request.world, find(request, "phone"), text(request.body, "text"))],
  })],
  ["GET", "/phones/:number/inbox", (request) => receivedBy(find(request, "phone"))],

  ["POST", "/contacts", (request) => describeAccount(create(request, "contact"))],
  ["GET", "/contacts/:number", (request) => describeAccount(find(request, "contact"))],
  ["POST", "/contacts/:number", (request) => change(request, find(request, "contact"))],
  ["POST", "/contacts/:number/send", (request) => send(request, find(request, "contact"))],
  ["POST", "/contacts/:number/deliver", (request) => receipts(request, "delivered")],
  ["POST", "/contacts/:number/read", (request) => receipts(request, "read")],
  ["POST", "/contacts/:number/play", (request) => receipts(request, "played")],
  ["POST", "/contacts/:number/vote", async (request) => {
    const { body, world } = request;
    const voter = find(request, "contact");
    const content = vote(world, voter, text(body, "poll"), texts(body, "options") ?? []);
    const sending = sendContent(world, voter, findTarget(world, text(body, "to")), content);
    await sending.accepted;
    return { ids: [sending.id] };
  }],
  ["POST", "/contacts/:number/status", async (request) => {
    const { body, world } = request;
    const follower = findAccount(world, text(body, "to"), "phone");
    return { ids: [await postStatus(world, find(request, "contact"), follower, text(body, "text"))] };
  }],
  ["POST", "/contacts/:number/presence", ({ body, world, params }) => {
    const state = oneOf(body, "state", CHAT_STATES);
    if (!state) throw new RangeError(`state has to be one of ${CHAT_STATES.join(", ")}`);
    showChatState(findAccount(world, params.number!, "contact"), findAccount(world, text(body, "to")), state);
  }],
  ["POST", "/contacts/:number/call", (request) => {
    const { body, world } = request;
    const to = findAccount(world, text(body, "to"));
    return { id: call(world, find(request, "contact"), to, optionalFlag(body, "video") ?? false) };
  }],
  ["GET", "/phones/:number/signals", (request) => signalsOf(find(request, "phone"))],
  ["GET", "/contacts/:number/inbox", (request) => receivedBy(find(request, "contact"))],

  ["POST", "/groups", (request) => addGroup(request)],
  ["POST", "/groups/:jid", ({ world, params, body }) => {
    const group = world.groups.get(params.jid!);
    if (!group) throw new HttpError(404, `no such group: ${params.jid}`);
    renameGroup(world, group, text(body, "subject"));
    return describeGroup(group);
  }],

  ["GET", "/ledger", ({ world, query }) => ledger(world, query.get("phone"))],

  ["GET", "/media", ({ world }) => describeMedia(world)],
  ["POST", "/media/expire", (request) => expireMedia(request)],

  ["GET", "/faults", ({ world }) => world.faults.list().map(faultView)],
  ["POST", "/faults", ({ world, body }) => addFault(world, body)],
  ["DELETE", "/faults", ({ world }) => world.faults.clearAll()],
  ["DELETE", "/faults/:id", ({ world, params }) => {
    if (!world.faults.clear(Number(params.id))) throw new HttpError(404, "no such fault");
  }],
];

function create({ world, body }: AdminRequest, role: Role): Account {
  const demoName = role === "contact" ? customerName(world.accounts.size) : undefined;
  const account = world.addAccount({
    number: parseNumber(text(body, "number")),
    role,
    ...defined({
      name: optionalText(body, "name") ?? demoName,
      lid: optionalText(body, "lid"),
      addressing: oneOf(body, "addressing", ["lid", "pn"] as const),
    }),
  });
  setManners(account, body);
  return account;
}

function defined<T extends object>(fields: T): Partial<{ [K in keyof T]: NonNullable<T[K]> }> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<{ [K in keyof T]: NonNullable<T[K]> }>;
}

function change({ body, world }: AdminRequest, account: Account): unknown {
  account.name = optionalText(body, "name") ?? account.name;
  if (body.picture === null) changePicture(world, account, undefined);
  else if (body.picture !== undefined) changePicture(world, account, text(body, "picture"));
  account.hidesNumber = optionalFlag(body, "hidesNumber") ?? account.hidesNumber;
  account.addressing = oneOf(body, "addressing", ["lid", "pn"] as const) ?? account.addressing;
  setManners(account, body);
  world.onChange();
  return describeAccount(account);
}

function setManners({ manners }: Account, body: AdminRequest["body"]): void {
  manners.delivers = optionalFlag(body, "delivers") ?? manners.delivers;
  manners.reads = optionalFlag(body, "reads") ?? manners.reads;
}

function find({ world, params }: AdminRequest, role: Role): Account {
  return findAccount(world, params.number!, role);
}

function findAccount(world: World, number: string, role?: Role): Account {
  const account = world.findNumber(parseNumber(number));
  if (!account || (role !== undefined && account.role !== role)) {
    throw new HttpError(404, `no such ${role ?? "account"}: ${number}`);
  }
  return account;
}

async function send(request: AdminRequest, author: Account): Promise<unknown> {
  const { body, world } = request;
  const target = findTarget(world, text(body, "to"));
  if (body.media !== undefined) return sendMedia(request, author, target);
  if (body.message !== undefined) {
    const id = optionalText(body, "id") ?? messageId();
    const attributes = attributesOf(body.attrs);
    const verifiedName = optionalText(body, "verifiedName");
    const options = { id, attributes, ...defined({ verifiedName }) };
    await sendContent(world, author, target, readContent(body.message), options).accepted;
    return { ids: [id] };
  }
  const lines = linesOf(body);
  const intervalMs = optionalInteger(body, "intervalMs");
  const id = optionalText(body, "id");
  if (id !== undefined && lines.length !== 1) throw new RangeError("id is for one text");
  const letters = lines.map((line) => ({ id: id ?? messageId(), line }));
  const ids = letters.map((letter) => letter.id);
  const secondsAgo = optionalInteger(body, "secondsAgo") ?? 0;
  const write = ({ line, id: letterId }: (typeof letters)[number]) =>
    sendContent(world, author, target, { conversation: line }, { id: letterId, secondsAgo }).accepted;
  if (intervalMs === undefined || intervalMs === 0) {
    await Promise.all(letters.map(write));
  } else {
    schedule(world, intervalMs, letters, write);
  }
  return { ids };
}

/** Attributes of a stanza: texts, and null for one that is to be missing. */
function attributesOf(value: unknown): Attributes {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null) throw new RangeError("attrs has to be an object");
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      if (one !== null && typeof one !== "string") throw new RangeError(`attrs.${name} has to be a text or null`);
      return [name, one ?? undefined];
    }),
  );
}

async function sendMedia({ body, world }: AdminRequest, author: Account, target: Target): Promise<unknown> {
  if (typeof body.media !== "object" || body.media === null) throw new RangeError("media has to be an object");
  const { content, media } = await composeMedia(world, body.media as AdminRequest["body"]);
  const sending = sendContent(world, author, target, content, { id: optionalText(body, "id") ?? messageId(), media });
  await sending.accepted;
  return { ids: [sending.id], media };
}

/** The media of a message can no longer be downloaded, until somebody uploads it again. */
function expireMedia({ body, world }: AdminRequest): void {
  const id = text(body, "id");
  const message = [...world.accounts.values()].map((account) => account.sent.get(id)).find(Boolean);
  const directPath = message && mediaMessage(message.content)?.message.directPath;
  if (!directPath) throw new HttpError(404, `no media was sent as ${id}`);
  world.media.expire(directPath, optionalInteger(body, "code", 400));
}

function schedule<T>(world: World, intervalMs: number, items: readonly T[], act: (item: T) => Promise<void>): void {
  const queue = [...items];
  const timer = setInterval(() => {
    // What cannot be sent is missing in the ledger, which is where one looks.
    act(queue.shift()!).catch(() => undefined);
    if (queue.length > 0) return;
    clearInterval(timer);
    world.schedules.delete(timer);
  }, intervalMs);
  world.schedules.add(timer);
}

function linesOf(body: AdminRequest["body"]): string[] {
  const given = texts(body, "texts");
  if (given) return given;
  const one = optionalText(body, "text");
  const count = optionalInteger(body, "count", 1) ?? 1;
  return Array.from({ length: count }, (_, index) => {
    if (one === undefined) return customerLine(index);
    return count === 1 ? one : `${one} ${index + 1}`;
  });
}

function findTarget(world: World, to: string): Target {
  const group = world.groups.get(to);
  return group ? { group } : { account: findAccount(world, to) };
}

function receipts(request: AdminRequest, type: ReceiptType): unknown {
  return { ids: acknowledge(request.world, find(request, "contact"), type, texts(request.body, "ids")) };
}

function addGroup({ body, world }: AdminRequest): unknown {
  const members = (texts(body, "members") ?? []).map((number) => findAccount(world, number));
  const group = createGroup(text(body, "subject"), members);
  world.groups.set(group.jid, group);
  world.onChange();
  return describeGroup(group);
}

function ledger(world: World, phone: string | null): unknown {
  const accounts = [...world.accounts.values()];
  if (phone === null) return { sent: accounts.flatMap(sentBy), received: accounts.flatMap(receivedBy) };
  const { number } = findAccount(world, phone, "phone");
  const groups = new Set(
    [...world.groups.values()].filter((group) => group.members.has(number)).map((group) => group.jid),
  );
  return {
    sent: accounts.flatMap(sentBy).filter(({ from, to }) => from === number || to === number || groups.has(to)),
    received: accounts
      .flatMap(receivedBy)
      .filter(({ chat, from, to }) => from === number || to === number || groups.has(chat)),
  };
}

function addFault(world: World, body: AdminRequest["body"]): unknown {
  const kind = oneOf(body, "kind", FAULT_KINDS);
  if (!kind) throw new RangeError(`kind has to be one of ${FAULT_KINDS.join(", ")}`);
  const phone = optionalText(body, "phone");
  return applyFault(world, {
    kind,
    phone: phone === undefined ? undefined : findAccount(world, phone, "phone").number,
    code: optionalInteger(body, "code"),
    ms: optionalInteger(body, "ms"),
    after: optionalInteger(body, "after", 1),
    reset: optionalFlag(body, "reset"),
    times: optionalInteger(body, "times", 1),
    durationMs: optionalInteger(body, "durationMs", 1),
  });
}
