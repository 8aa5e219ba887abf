/** Media in `send` frames: what an upload gave, with the caption and name of this message. */

import { proto } from "baileys";
import type { WAMessageContent } from "baileys";

import { ProtocolError } from "../protocol.ts";
import { MEDIA_KINDS } from "./download.ts";
import type { MediaKind } from "./download.ts";

const MAX_CAPTION = 65_536;
const MAX_FILE_NAME = 255;
const UPLOAD = /^[A-Za-z0-9+/]{1,16384}={0,2}$/;

/** `{"image": {upload, caption?, fileName?}}`, of any one kind. */
export interface MediaContent {
  readonly kind: MediaKind;
  readonly upload: string;
  readonly caption: string | null;
  readonly fileName: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

/** The media of a frame's content, or null if it holds none. */
export function mediaContent(content: Fields): MediaContent | null {
  const kind = MEDIA_KINDS.find((one) => content[one] !== undefined);
  if (kind === undefined) return null;
  const fields = content[kind] as Fields | null;
  if (typeof fields !== "object" || fields === null || Object.keys(content).length !== 1) {
    throw new ProtocolError(`field content must be {${kind}: {upload, caption?, fileName?}}`);
  }
  const { upload, caption = null, fileName = null, ...unknown } = fields;
  if (Object.keys(unknown).length > 0) throw new ProtocolError("field content has unknown parts");
  if (typeof upload !== "string" || !UPLOAD.test(upload)) {
    throw new ProtocolError(`field content.${kind}.upload is missing or malformed`);
  }
  return {
    kind,
    upload,
    caption: text(caption, "caption", MAX_CAPTION),
    fileName: text(fileName, "fileName", MAX_FILE_NAME),
  };
}

function text(value: unknown, name: string, longest: number): string | null {
  if (value === null) return null;
  if (typeof value !== "string" || value.length > longest) {
    throw new ProtocolError(`${name} must be a text of at most ${longest} characters`);
  }
  return value;
}

/** The message to send; documents with a caption are wrapped, as WhatsApp's own clients do it. */
export function composeMedia({ kind, upload, caption, fileName }: MediaContent): WAMessageContent {
  const message = proto.Message.decode(Buffer.from(upload, "base64"));
  const part = message[`${kind}Message`] as { caption?: string; fileName?: string } | null;
  if (!part) throw new Error(`the upload holds no ${kind}`);
  if (caption !== null && kind !== "audio" && kind !== "sticker") part.caption = caption;
  if (fileName !== null && kind === "document") part.fileName = fileName;
  if (kind !== "document" || !part.caption) return message;
  return proto.Message.fromObject({ documentWithCaptionMessage: { message } });
}
