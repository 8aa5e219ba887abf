// `w:g2`: metadata of the groups an account is in.
import { groupNode } from "../groups.ts";
import { node } from "../nodes.ts";
import { type Handlers, RequestError } from "./requests.ts";

export const groupHandlers: Handlers = {
  "w:g2/participating": ({ companion, world }) => {
    const { number } = companion!.account;
    const mine = [...world.groups.values()].filter((group) => group.members.has(number));
    return [node("groups", {}, mine.map(groupNode))];
  },

  "w:g2/query": ({ companion, world }, request) => {
    const group = world.groups.get(request.attrs.to ?? "");
    if (!group) throw new RequestError(404, "item-not-found");
    if (!group.members.has(companion!.account.number)) throw new RequestError(403, "forbidden");
    return [groupNode(group)];
  },
};
