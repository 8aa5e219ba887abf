// The device identity that a phone signs for its companion (ADV), and the companion's signature.
import {
  Curve,
  hmacSign,
  type KeyPair,
  proto,
  WA_ADV_ACCOUNT_SIG_PREFIX,
  WA_ADV_DEVICE_SIG_PREFIX,
} from "baileys";

export type DeviceIdentity = {
  /** The signed identity under the QR's secret, as `<device-identity>` carries it. */
  readonly sealed: Uint8Array;
  readonly details: Uint8Array;
  readonly accountKey: Uint8Array;
};

export function createDeviceIdentity(
  account: KeyPair,
  companionKey: Uint8Array,
  keyIndex: number,
  advSecret: Uint8Array,
): DeviceIdentity {
  const details = proto.ADVDeviceIdentity.encode({
    rawId: 1 + Math.floor(Math.random() * 0x7fff_fffe),
    timestamp: Math.floor(Date.now() / 1000),
    keyIndex,
    accountType: proto.ADVEncryptionType.E2EE,
    deviceType: proto.ADVEncryptionType.E2EE,
  }).finish();
  const signedBytes = Buffer.concat([WA_ADV_ACCOUNT_SIG_PREFIX, details, companionKey]);
  const signed = proto.ADVSignedDeviceIdentity.encode({
    details,
    accountSignatureKey: account.public,
    accountSignature: Curve.sign(account.private, signedBytes),
  }).finish();
  const sealed = proto.ADVSignedDeviceIdentityHMAC.encode({
    details: signed,
    hmac: hmacSign(signed, advSecret),
  }).finish();
  return { sealed, details, accountKey: account.public };
}

/** Checks the identity that the companion sent back, signed by itself. */
export function verifyDeviceSignature(
  signed: Uint8Array,
  { details, accountKey }: DeviceIdentity,
  companionKey: Uint8Array,
): boolean {
  const { deviceSignature } = proto.ADVSignedDeviceIdentity.decode(signed);
  if (!deviceSignature) return false;
  const message = Buffer.concat([WA_ADV_DEVICE_SIG_PREFIX, details, companionKey, accountKey]);
  return Curve.verify(companionKey, message, deviceSignature);
}
