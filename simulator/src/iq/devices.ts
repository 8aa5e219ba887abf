// `md`: linking by code and leaving.
import { onCompanionFinish, onCompanionHello } from "../link-code.ts";
import { child, node } from "../nodes.ts";
import { removeCompanion } from "../phone.ts";
import { type Handlers, RequestError } from "./requests.ts";

export const deviceHandlers: Handlers = {
  "md/link_code_companion_reg": ({ registration }, request) => {
    if (!registration) throw new RequestError(400, "bad-request");
    const stage = child(request, "link_code_companion_reg")?.attrs.stage;
    if (stage === "companion_hello") return [onCompanionHello(registration, request)];
    if (stage === "companion_finish" && onCompanionFinish(registration, request)) return undefined;
    throw new RequestError(400, "bad-request");
  },

  "md/remove-companion-device": ({ companion }) => {
    // The client hangs up by itself; only its place in the account goes.
    if (companion) removeCompanion(companion);
    return undefined;
  },

  "passive/active": () => undefined,
  "passive/passive": () => undefined,
  "w:p": () => undefined,
  "w:p/ping": () => undefined,
  "urn:xmpp:whatsapp:dirty": () => undefined,
  "w:stats": () => undefined,
  "urn:xmpp:ping": () => undefined,
  "w:web": () => [node("web")],
};
