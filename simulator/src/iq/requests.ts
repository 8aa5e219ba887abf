// Every request gets an answer: an unanswered one would block a client for a minute.
import type { Connection } from "../connection.ts";
import { type BinaryNode, firstChildTag, node, SERVER_JID } from "../nodes.ts";
import { accountHandlers } from "./account.ts";
import { appStateHandlers } from "./app-state.ts";
import { deviceHandlers } from "./devices.ts";
import { groupHandlers } from "./groups.ts";
import { keyHandlers } from "./keys.ts";
import { serviceHandlers } from "./services.ts";
import { usyncHandlers } from "./usync.ts";

/** Content of the result, or nothing for an empty one. May throw a `RequestError`. */
export type Handler = (connection: Connection, request: BinaryNode) => BinaryNode[] | undefined;

/** By `xmlns`, or by `xmlns` and first child: the more exact wins. */
export type Handlers = Readonly<Record<string, Handler>>;

/** Answered as `<error code text>`. */
export class RequestError extends Error {
  readonly code: number;
  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

const handlers = new Map<string, Handler>(
  [
    accountHandlers,
    appStateHandlers,
    deviceHandlers,
    groupHandlers,
    keyHandlers,
    serviceHandlers,
    usyncHandlers,
  ].flatMap((some) => Object.entries(some)),
);

export function onRequest(connection: Connection, request: BinaryNode): void {
  const { xmlns = "", id, to } = request.attrs;
  const key = `${xmlns}/${firstChildTag(request)}`;
  const handler = handlers.get(key) ?? handlers.get(xmlns);
  const attrs = { id, from: to ?? SERVER_JID };
  if (!handler) {
    const { unknownRequests } = connection.world;
    unknownRequests.set(key, (unknownRequests.get(key) ?? 0) + 1);
    connection.send(node("iq", { ...attrs, type: "error" }, [errorNode(501, "feature-not-implemented")]));
    return;
  }
  try {
    connection.send(node("iq", { ...attrs, type: "result" }, handler(connection, request)));
  } catch (error) {
    const [code, text] = error instanceof RequestError ? [error.code, error.message] : [400, "bad-request"];
    connection.send(node("iq", { ...attrs, type: "error" }, [errorNode(code, text)]));
    return;
  }
  // The backlog follows the answer that lets the client take it.
  if (key === "passive/active" && !connection.active && connection.companion) connection.activate();
}

function errorNode(code: number, text: string): BinaryNode {
  return node("error", { code: String(code), text });
}
