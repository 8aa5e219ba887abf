// A paired client comes back: `<success>` or `<failure>`.
import type { Connection } from "./connection.ts";
import { node, SERVER_JID } from "./nodes.ts";
import type { ClientHello } from "./noise.ts";

const LOGGED_OUT = 401;

export function login(connection: Connection, { noiseKey, payload }: ClientHello): void {
  const { world } = connection;
  const number = String(payload.username ?? "");
  const refusal = world.faults.strike("refuse-login", number);
  if (refusal) {
    connection.fail(refusal.code ?? 503);
    return;
  }
  const companion = world.findCompanion(number, payload.device ?? 0);
  if (!companion || !companion.keys.noiseKey.equals(noiseKey)) {
    connection.fail(LOGGED_OUT);
    return;
  }
  const previous = companion.connection;
  connection.companion = companion;
  companion.connection = connection;
  previous?.streamError(undefined, node("conflict", { type: "replaced" }));
  if (world.faults.active("silence", number)) connection.goSilent();
  if (world.faults.active("freeze", number)) connection.freeze();
  connection.send(
    node("success", {
      t: world.timestamp(),
      lid: companion.lidJid,
      display_name: companion.account.name,
      location: "sim",
      props: "0",
      creation: world.timestamp(),
      companion_enc_static: "",
    }),
  );
  connection.send(
    node("ib", { from: SERVER_JID }, [
      node("edge_routing", {}, [node("routing_info", {}, Buffer.from([8, 2, 8, 5]))]),
    ]),
  );
}
