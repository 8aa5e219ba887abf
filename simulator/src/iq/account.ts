// The account's own settings, as far as a client asks for them at login.
import { child, node } from "../nodes.ts";
import { type Handlers, RequestError } from "./requests.ts";

const PRIVACY_CATEGORIES = [
  "readreceipts",
  "profile",
  "status",
  "online",
  "last",
  "groupadd",
  "calladd",
  "messages",
] as const;

export const accountHandlers: Handlers = {
  "privacy/privacy": (_connection, request) => {
    if (request.attrs.type === "set") return undefined;
    const categories = PRIVACY_CATEGORIES.map((name) => node("category", { name, value: "all" }));
    return [node("privacy", {}, categories)];
  },

  // Trusted-contact tokens: taken, and none given back.
  "privacy/tokens": () => [node("tokens", {}, [])],

  blocklist: (_connection, request) => (request.attrs.type === "set" ? undefined : [node("list", {}, [])]),

  "w:profile:picture": ({ world }, request) => {
    if (request.attrs.type === "set") return [node("picture", { id: "1" })];
    const url = world.findJid(request.attrs.target)?.picture;
    if (url !== undefined) return [node("picture", { id: "1", type: "preview", url })];
    throw new RequestError(404, "item-not-found");
  },

  "w:biz": (_connection, request) => [node("business_profile", { v: child(request, "business_profile")?.attrs.v })],

  abt: () => [node("props", { protocol: "1", hash: "sim", refresh: "86400" }, [])],
  status: () => undefined,
  disappearing_mode: () => undefined,
  "urn:xmpp:whatsapp:account": () => undefined,
  tos: () => undefined,
};
