// Points the host program's Baileys at the simulator: `node --import …/preload.ts program.js`.
// Does nothing unless WHATSAPP_SIMULATOR_URL is set; never writes to stdout.
import { createRequire } from "node:module";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { pathToFileURL } from "node:url";
import { MEDIA_CERTIFICATE } from "./media-certificate.ts";
import { ROOT_PUBLIC_KEY } from "./root-public-key.ts";

type Baileys = {
  DEFAULT_CONNECTION_CONFIG: { waWebSocketUrl: string | URL };
  WA_CERT_DETAILS: { PUBLIC_KEY: Uint8Array };
};

const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|\[::1\])$/;
const KEY_BYTES = 32;

function simulatorUrl(text: string): string {
  const url = new URL(text);
  if ((url.protocol !== "ws:" && url.protocol !== "wss:") || !LOOPBACK.test(url.hostname)) {
    throw new Error(`WHATSAPP_SIMULATOR_URL has to be a WebSocket URL on loopback, not ${text}`);
  }
  return url.href;
}

function rootKey(hex: string | undefined): Buffer {
  if (hex === undefined || hex === "") return ROOT_PUBLIC_KEY;
  const key = Buffer.from(hex, "hex");
  if (key.length !== KEY_BYTES) throw new Error("WHATSAPP_SIMULATOR_ROOT_KEY has to be 32 bytes in hexadecimal");
  return key;
}

/** Every Baileys that the host could load: next to its program, from its directory, and ours. */
function baileysLocations(): Set<string> {
  const program = process.argv[1];
  const locations = new Set<string>([import.meta.resolve("baileys")]);
  for (const from of [program, join(process.cwd(), "package.json")]) {
    if (from === undefined) continue;
    try {
      locations.add(pathToFileURL(createRequire(pathToFileURL(from)).resolve("baileys")).href);
    } catch {
      // None to be found from there.
    }
  }
  return locations;
}

const target = process.env.WHATSAPP_SIMULATOR_URL;
if (target !== undefined && target !== "") {
  const waWebSocketUrl = simulatorUrl(target);
  const publicKey = rootKey(process.env.WHATSAPP_SIMULATOR_ROOT_KEY);
  for (const location of baileysLocations()) {
    const baileys = (await import(location)) as Baileys;
    baileys.DEFAULT_CONNECTION_CONFIG.waWebSocketUrl = waWebSocketUrl;
    baileys.WA_CERT_DETAILS.PUBLIC_KEY = publicKey;
  }
  setDefaultCACertificates([...getCACertificates("default"), MEDIA_CERTIFICATE]);
}
