// App state sync: collections start empty and keep the patches that companions upload.
import { proto } from "baileys";
import type { Account } from "../account.ts";
import { type BinaryNode, child, childBytes, children, node } from "../nodes.ts";
import type { Handlers } from "./requests.ts";

/** Patches per account and collection; the version is their number. */
const collections = new WeakMap<Account, Map<string, Uint8Array[]>>();

function patchesOf(account: Account, name: string): Uint8Array[] {
  let byName = collections.get(account);
  if (!byName) collections.set(account, (byName = new Map()));
  let patches = byName.get(name);
  if (!patches) byName.set(name, (patches = []));
  return patches;
}

export const appStateHandlers: Handlers = {
  "w:sync:app:state": ({ companion }, request) => {
    const asked = children(child(request, "sync"), "collection");
    return [node("sync", {}, asked.map((collection) => answer(companion!.account, collection)))];
  },
};

function answer(account: Account, collection: BinaryNode): BinaryNode {
  const { name, version = "0" } = collection.attrs;
  const patches = patchesOf(account, name!);
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
