// `usync`: who is registered, under which LID, with which devices.
import { deviceListNode } from "../device-list.ts";
import { parseJid, pnJid } from "../jid.ts";
import { type BinaryNode, child, children, node } from "../nodes.ts";
import type { Connection } from "../connection.ts";
import type { Handlers } from "./requests.ts";

export const usyncHandlers: Handlers = {
  usync: (connection, request) => {
    const usync = child(request, "usync");
    const query = child(usync, "query");
    const protocols = Array.isArray(query?.content) ? query.content.map(({ tag }) => tag) : [];
    const users = children(child(usync, "list"), "user");
    const { sid, index = "0", last = "true", mode = "query", context = "interactive" } = usync?.attrs ?? {};
    const isCheck = protocols.length === 1 && protocols[0] === "contact";
    if (isCheck && connection.world.faults.strike("empty-check", connection.phone)) users.length = 0;
    return [
      node("usync", { sid, index, last, mode, context }, [
        node("result", {}, protocols.map((tag) => node(tag))),
        node("list", {}, users.map((user) => userNode(connection, user, protocols))),
      ]),
    ];
  },
};

function userNode(connection: Connection, user: BinaryNode, protocols: readonly string[]): BinaryNode {
  const phone = child(user, "contact")?.content;
  if (phone !== undefined && user.attrs.jid === undefined) return contactNode(connection, String(phone), protocols);
  const jid = user.attrs.jid!;
  const account = connection.world.findJid(jid);
  const answers: BinaryNode[] = [];
  for (const protocol of protocols) {
    if (protocol === "devices") {
      if (account && connection.companion) account.watchers.add(connection.companion);
      // An address nobody registered has no devices: a message to it reaches no one.
      answers.push(node("devices", {}, [account ? deviceListNode(account) : node("device-list", {}, [])]));
    } else if (protocol === "lid") {
      // Asked by LID, the answer holds no second one.
      if (account && parseJid(jid)?.server !== "lid") answers.push(node("lid", { val: account.lidJid }));
    } else {
      answers.push(node(protocol, protocol === "contact" ? { type: account ? "in" : "out" } : {}));
    }
  }
  return node("user", { jid }, answers);
}

/** Asked by phone number: the account as it is registered, whichever spelling was asked for. */
function contactNode(connection: Connection, phone: string, protocols: readonly string[]): BinaryNode {
  const number = phone.replace(/\D/g, "");
  const account = connection.world.findNumber(number);
  const answers: BinaryNode[] = [node("contact", { type: account ? "in" : "out" }, Buffer.from(phone))];
  if (account && protocols.includes("lid")) answers.push(node("lid", { val: account.lidJid }));
  if (account && protocols.includes("devices")) answers.push(node("devices", {}, [deviceListNode(account)]));
  return node("user", { jid: account ? account.pnJid : pnJid(number) }, answers);
}
