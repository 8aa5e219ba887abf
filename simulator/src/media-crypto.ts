// Media as WhatsApp keeps it: AES-256-CBC under keys derived from the message's media key, then the
// first ten bytes of an HMAC. The host only ever has the ciphertext.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { getMediaKeys } from "baileys";

export const MEDIA_KINDS = ["image", "video", "audio", "document", "sticker"] as const;
export type MediaKind = (typeof MEDIA_KINDS)[number];

const MAC_BYTES = 10;

export type Encrypted = {
  readonly mediaKey: Buffer;
  readonly blob: Buffer;
  readonly fileSha256: Buffer;
  readonly fileEncSha256: Buffer;
};

export function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

export async function encryptMedia(kind: MediaKind, plain: Buffer, mediaKey = randomBytes(32)): Promise<Encrypted> {
  const { cipherKey, iv, macKey } = await getMediaKeys(mediaKey, kind);
  const cipher = createCipheriv("aes-256-cbc", cipherKey, iv);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  const mac = createHmac("sha256", macKey!).update(iv).update(body).digest().subarray(0, MAC_BYTES);
  const blob = Buffer.concat([body, mac]);
  return { mediaKey, blob, fileSha256: sha256(plain), fileEncSha256: sha256(blob) };
}

/** The plain bytes; raises when the ciphertext is not what the key's holder made. */
export async function decryptMedia(kind: MediaKind, blob: Buffer, mediaKey: Uint8Array): Promise<Buffer> {
  const { cipherKey, iv, macKey } = await getMediaKeys(mediaKey, kind);
  const body = blob.subarray(0, -MAC_BYTES);
  const mac = createHmac("sha256", macKey!).update(iv).update(body).digest().subarray(0, MAC_BYTES);
  if (!timingSafeEqual(mac, blob.subarray(-MAC_BYTES))) throw new Error("the media's MAC is wrong");
  const decipher = createDecipheriv("aes-256-cbc", cipherKey, iv);
  return Buffer.concat([decipher.update(body), decipher.final()]);
}
