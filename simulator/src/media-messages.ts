// Messages that carry media: what simulated accounts send, and what they make of what they get.
import { randomBytes } from "node:crypto";
import { proto } from "baileys";
import type { Content } from "./content.ts";
import { oneOf, optionalFlag, optionalInteger, optionalText, text } from "./fields.ts";
import { decryptMedia, encryptMedia, MEDIA_KINDS, type MediaKind, sha256 } from "./media-crypto.ts";
import type { World } from "./world.ts";

/** Media as the ledger shows it; `sha256` in hexadecimal, of the plain bytes. */
export type MediaRecord = {
  readonly kind: MediaKind;
  readonly mimetype: string | undefined;
  readonly fileName: string | undefined;
  readonly caption: string | undefined;
  readonly ptt: boolean;
  readonly seconds: number | undefined;
  readonly size: number;
  readonly sha256: string;
  /** Whether size and hash are those that the message names. */
  readonly intact: boolean;
};

type Fields = Readonly<Record<string, unknown>>;
type MediaMessage = proto.Message.IDocumentMessage & proto.Message.IAudioMessage & { caption?: string | null };

/** What the `media` field of an admin request asks for: the content to send. */
export async function composeMedia(world: World, fields: Fields): Promise<{ content: Content; media: MediaRecord }> {
  const kind = oneOf(fields, "kind", MEDIA_KINDS);
  if (!kind) throw new RangeError(`kind has to be one of ${MEDIA_KINDS.join(", ")}`);
  const plain = bytesOf(fields);
  const { blob, fileEncSha256, fileSha256, mediaKey } = await encryptMedia(kind, plain);
  const directPath = world.media.put(blob);
  const caption = optionalText(fields, "caption");
  const message = {
    url: `https://${world.media.authority}${directPath}`,
    directPath,
    mediaKey,
    fileSha256,
    fileEncSha256,
    fileLength: plain.length,
    mediaKeyTimestamp: Math.floor(Date.now() / 1000),
    mimetype: text(fields, "mimetype"),
    fileName: optionalText(fields, "fileName"),
    caption,
    ptt: optionalFlag(fields, "ptt"),
    seconds: optionalInteger(fields, "seconds"),
    ...claimsOf(fields),
  };
  const inner = proto.Message.fromObject({ [`${kind}Message`]: message });
  const wrapped = kind === "document" && caption !== undefined;
  const content = wrapped ? proto.Message.fromObject({ documentWithCaptionMessage: { message: inner } }) : inner;
  const media = {
    kind,
    mimetype: message.mimetype,
    fileName: message.fileName,
    caption,
    ptt: message.ptt ?? false,
    seconds: message.seconds,
    size: plain.length,
    sha256: fileSha256.toString("hex"),
    intact: true,
  };
  return { content, media };
}

/** `base64`, made up to `size` bytes with noise when both or only the latter are given. */
function bytesOf(fields: Fields): Buffer {
  const given = Buffer.from(optionalText(fields, "base64") ?? "", "base64");
  const size = optionalInteger(fields, "size", 1) ?? given.length;
  if (size === 0) throw new RangeError("media needs base64 or size");
  return given.length >= size ? given : Buffer.concat([given, randomBytes(size - given.length)]);
}

/** Fields of the message that say something else than is true, as a hostile sender's would. */
function claimsOf(fields: Fields): object {
  const claims = fields["claims"];
  if (claims === undefined) return {};
  if (typeof claims !== "object" || claims === null) throw new RangeError("claims has to be an object");
  return claims;
}

/** Finds the media message inside a content, whatever it is wrapped in. */
export function mediaMessage(content: Content): { kind: MediaKind; message: MediaMessage } | undefined {
  const inner =
    content.ephemeralMessage?.message ??
    content.viewOnceMessage?.message ??
    content.viewOnceMessageV2?.message ??
    content.documentWithCaptionMessage?.message ??
    content;
  for (const kind of MEDIA_KINDS) {
    const message = inner[`${kind}Message`];
    if (message) return { kind, message: message as MediaMessage };
  }
  return undefined;
}

/** Fetches, decrypts and checks the media of a content that an account received. */
export async function readMedia(world: World, content: Content): Promise<MediaRecord | undefined> {
  const found = mediaMessage(content);
  if (!found) return undefined;
  const { kind, message } = found;
  const plain = await fetchPlain(world, kind, message);
  const hash = plain === undefined ? "" : sha256(plain).toString("hex");
  return {
    kind,
    mimetype: message.mimetype ?? undefined,
    fileName: message.fileName ?? undefined,
    caption: message.caption ?? undefined,
    ptt: message.ptt ?? false,
    seconds: message.seconds ?? undefined,
    size: plain?.length ?? 0,
    sha256: hash,
    intact:
      plain !== undefined &&
      plain.length === Number(message.fileLength) &&
      hash === Buffer.from(message.fileSha256 ?? []).toString("hex"),
  };
}

async function fetchPlain(world: World, kind: MediaKind, message: MediaMessage): Promise<Buffer | undefined> {
  const blob = world.media.find(message.directPath ?? "");
  if (!blob || blob.expired !== undefined || !message.mediaKey) return undefined;
  return decryptMedia(kind, blob.bytes, message.mediaKey).catch(() => undefined);
}
