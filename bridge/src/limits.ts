/**
 * How much fits into a message: the same numbers as `runtime/limits.py`, so that nothing which the
 * API accepts is refused here. A text's `length` is what WhatsApp's own clients measure: UTF-16 code units.
 */
export const LIMITS = {
  TEXT: 65_536,
  CAPTION: 4096,
  FILE_NAME: 255,
  PLACE: 256,
  CONTACTS: 20,
  CONTACT_NAME: 100,
  POLL_NAME: 255,
  POLL_OPTION: 100,
  POLL_OPTIONS: 12,
  LINK_URL: 2048,
  LINK_TITLE: 300,
  LINK_DESCRIPTION: 1000,
  REACTION: 32,
  MENTIONS: 100,
  QUOTED: 2000,
  MESSAGE_ID: 255,
} as const;
