/**
 * Importing this lets ciphers and HMACs take their keys as KeyObjects.
 *
 * Given bytes, Node 24.19 (24.14 did not) asks whether they are one of its key classes by raising two
 * exceptions, which costs several times what the HMAC does; a message takes about twenty of them.
 * Baileys and libsignal pass bytes.
 */

import crypto, { createSecretKey } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

type MakeWithKey = (algorithm: string, key: unknown, ...rest: unknown[]) => unknown;

for (const name of ["createHmac", "createCipheriv", "createDecipheriv"] as const) {
  const make = crypto[name] as MakeWithKey;
  const makeFromObject: MakeWithKey = (algorithm, key, ...rest) =>
    make(algorithm, key instanceof Uint8Array ? createSecretKey(key) : key, ...rest);
  Object.assign(crypto, { [name]: makeFromObject });
}
syncBuiltinESMExports();
