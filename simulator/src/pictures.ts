// Profile pictures: an address that the server gives, and news of it.
import type { Account } from "./account.ts";
import { node } from "./nodes.ts";
import { stanzaId, type World } from "./world.ts";

/** The account shows another picture, or none; the companions that know it are told. */
export function changePicture(world: World, account: Account, picture: string | undefined): void {
  account.picture = picture;
  const change = picture === undefined ? node("delete") : node("set", { id: stanzaId() });
  for (const companion of account.watchers) {
    const from = account.addressing === "lid" ? account.lidJid : account.pnJid;
    const attrs = { id: stanzaId(), from, type: "picture", t: world.timestamp() };
    companion.deliver("notification", node("notification", attrs, [change]));
  }
}
