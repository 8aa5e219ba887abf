/** Media in `send` frames: what an upload gave, with the caption and name of this message. */

import { proto } from "baileys";
import type { WAMessageContent } from "baileys";

import { LIMITS } from "../limits.ts";
import { ProtocolError } from "../protocol.ts";
import { besideOf, contextOf } from "../session/content.ts";
import type { Beside } from "../session/content.ts";
import { MEDIA_KINDS } from "./download.ts";
import type { MediaKind } from "./download.ts";

const UPLOAD = /^[A-Za-z0-9+/]{1,16384}={0,2}$/;

/** `{"image": {upload, caption?, fileName?, viewOnce?, quoted?, mentions?}}`, of any one kind. */
export interface MediaContent extends Beside {
  readonly kind: MediaKind;
  readonly upload: string;
  readonly caption: string | null;
  readonly fileName: string | null;
  readonly viewOnce: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** The media of a frame's content, or null if it holds none. */
export function mediaContent(content: Fields): MediaContent | null {
  const kind = MEDIA_KINDS.find((one) => content[one] !== undefined);
  if (kind === undefined) return null;
  const fields = content[kind] as Fields | null;
  if (typeof fields !== "object" || fields === null || Object.keys(content).length !== 1) {
    throw new ProtocolError(`field content must be {${kind}: {upload, caption?, fileName?, …}}`);
  }
  const { upload, caption = null, fileName = null, viewOnce = false, quoted, mentions, ...unknown } = fields;
  if (Object.keys(unknown).length > 0) throw new ProtocolError("field content has unknown parts");
  if (typeof upload !== "string" || !UPLOAD.test(upload)) {
    throw new ProtocolError(`field content.${kind}.upload is missing or malformed`);
  }
  if (typeof viewOnce !== "boolean") throw new ProtocolError(`field content.${kind}.viewOnce must be a boolean`);
  return {
    kind,
    upload,
    caption: text(caption, "caption", LIMITS.CAPTION),
    fileName: text(fileName, "fileName", LIMITS.FILE_NAME),
    viewOnce,
    ...besideOf(quoted, mentions),
  };
}

function text(value: unknown, name: string, longest: number): string | null {
  if (value === null) return null;
  if (typeof value !== "string" || value.length > longest) {
    throw new ProtocolError(`${name} must be a text of at most ${longest} characters`);
  }
  return value;
}

interface Part {
  caption?: string;
  fileName?: string;
  viewOnce?: boolean;
  contextInfo?: proto.IContextInfo;
}

/** The message to send; what is wrapped is so as WhatsApp's own clients do it. */
export function composeMedia(to: string, content: MediaContent, myJid: string): WAMessageContent {
  const { kind, upload, caption, fileName, viewOnce } = content;
  const message = proto.Message.decode(Buffer.from(upload, "base64"));
  const part = message[`${kind}Message`] as Part | null;
  if (!part) throw new Error(`the upload holds no ${kind}`);
  if (caption !== null && kind !== "audio" && kind !== "sticker") part.caption = caption;
  if (fileName !== null && kind === "document") part.fileName = fileName;
  Object.assign(part, contextOf(content, to, myJid));
  if (viewOnce) {
    part.viewOnce = true;
    return proto.Message.fromObject({ viewOnceMessage: { message } });
  }
  if (kind !== "document" || !part.caption) return message;
  return proto.Message.fromObject({ documentWithCaptionMessage: { message } });
}
