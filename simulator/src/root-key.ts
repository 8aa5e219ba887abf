// The simulator's test root key and the certificate chain that a client checks during the
// Noise handshake. The private key is public on purpose: it vouches for nothing but a server
// on loopback, and a fixed pair lets a preload trust the simulator without talking to it first.
import { Curve, proto } from "baileys";

const ROOT_PRIVATE_KEY = Buffer.from(
  "70d3f1a29b6c4e8d5a1f0e2b7c9648d3a5b1e0f7c2d4968b3a7e5f1c0d2b4967",
  "hex",
);

export type StaticKeyPair = { readonly public: Uint8Array; readonly private: Uint8Array };

/** A server's long-term Noise key with its certificate chain (an encoded `CertChain`). */
export type ServerIdentity = { readonly keyPair: StaticKeyPair; readonly certificateChain: Uint8Array };

const DAY_SECONDS = 24 * 60 * 60;

/** Makes a fresh server key, signed root → intermediate → leaf as WhatsApp does it. */
export function createServerIdentity(now = Date.now()): ServerIdentity {
  const intermediate = Curve.generateKeyPair();
  const keyPair = Curve.generateKeyPair();
  const { Details } = proto.CertChain.NoiseCertificate;
  const notBefore = Math.floor(now / 1000) - DAY_SECONDS;
  const notAfter = notBefore + 365 * DAY_SECONDS;
  // Clients compare the intermediate's issuerSerial with 0, so it has to be on the wire.
  const intermediateDetails = Details.encode({
    serial: 1,
    issuerSerial: 0,
    key: intermediate.public,
    notBefore,
    notAfter,
  }).finish();
  const leafDetails = Details.encode({
    serial: 2,
    issuerSerial: 1,
    key: keyPair.public,
    notBefore,
    notAfter,
  }).finish();
  const certificateChain = proto.CertChain.encode({
    intermediate: {
      details: intermediateDetails,
      signature: Curve.sign(ROOT_PRIVATE_KEY, intermediateDetails),
    },
    leaf: { details: leafDetails, signature: Curve.sign(intermediate.private, leafDetails) },
  }).finish();
  return { keyPair, certificateChain };
}
