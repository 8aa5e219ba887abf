// App state sync: collections start empty and keep the patches that companions upload.
import { proto } from "baileys";
import type { Account } from "../account.ts";
import { type BinaryNode, child, childBytes, children, node } from "../nodes.ts";
import type { Handlers } from "./requests.ts";

export const appStateHandlers: Handlers = {
  "w:sync:app:state": ({ companion, world }, request) => {
    const asked = children(child(request, "sync"), "collection");
    const answers = asked.map((collection) => answer(companion!.account, collection));
    world.onChange();
    return [node("sync", {}, answers)];
  },
};

function answer(account: Account, collection: BinaryNode): BinaryNode {
  const { name, version = "0" } = collection.attrs;
  let patches = account.appState.get(name!);
  if (!patches) account.appState.set(name!, (patches = []));
  const upload = childBytes(collection, "patch");
  if (upload) {
    if (Number(version) !== patches.length) {
      return node("collection", { name, type: "error" }, [node("error", { code: "409", text: "conflict" })]);
    }
    const patch = proto.SyncdPatch.decode(upload);
    patch.version = { version: patches.length + 1 };
    patches.push(proto.SyncdPatch.encode(patch).finish());
    return node("collection", { name, version: String(patches.length) });
  }
  const missing = patches.slice(Number(version)).map((patch) => node("patch", {}, patch));
  const content = missing.length > 0 ? [node("patches", {}, missing)] : undefined;
  return node("collection", { name, version, has_more_patches: "false" }, content);
}
