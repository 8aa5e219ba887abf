/** X.509 certificates for tests, of Ed25519 keys: just enough DER for a TLS server on loopback. */

import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";

const DAY_MS = 24 * 60 * 60 * 1000;
const ED25519 = der(0x30, Buffer.from("06032b6570", "hex"));
const COMMON_NAME = Buffer.from("0603550403", "hex");
const BASIC_CONSTRAINTS = Buffer.from("0603551d13", "hex");
const ALTERNATIVE_NAME = Buffer.from("0603551d11", "hex");

export interface Certificate {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly cert: string;
  /** In PEM, for a server. */
  readonly key: string;
}

export interface CertificateOptions {
  /** Signs itself without one. */
  readonly issuer?: Certificate;
  /** Days from now. */
  readonly from?: number;
  readonly to?: number;
  readonly host?: string;
}

/** A certificate authority, or with `issuer` or `host` a server's certificate for loopback or that host. */
export function certificate(name: string, options: CertificateOptions = {}): Certificate {
  const { issuer, from = -1, to = 30, host } = options;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const isAuthority = issuer === undefined && host === undefined;
  const names =
    host === undefined || host === "127.0.0.1" ? der(0x87, Buffer.from([127, 0, 0, 1])) : der(0x82, Buffer.from(host));
  const extensions = [
    der(0x30, BASIC_CONSTRAINTS, der(0x04, der(0x30, ...(isAuthority ? [der(0x01, Buffer.from([255]))] : [])))),
    ...(isAuthority ? [] : [der(0x30, ALTERNATIVE_NAME, der(0x04, der(0x30, names)))]),
  ];
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1, ...randomBytes(8)])),
    ED25519,
    named(issuer?.name ?? name),
    der(0x30, moment(from), moment(to)),
    named(name),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, ...extensions)),
  );
  const signature = sign(null, body, issuer?.privateKey ?? privateKey);
  const whole = der(0x30, body, ED25519, der(0x03, Buffer.from([0]), signature));
  return {
    name,
    privateKey,
    cert: `-----BEGIN CERTIFICATE-----\n${whole.toString("base64").match(/.{1,64}/g)!.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function named(name: string): Buffer {
  return der(0x30, der(0x31, der(0x30, COMMON_NAME, der(0x0c, Buffer.from(name)))));
}

function moment(days: number): Buffer {
  const text = new Date(Date.now() + days * DAY_MS).toISOString().replace(/[-:T]|\.\d+/g, "");
  return der(0x17, Buffer.from(text.slice(2)));
}
