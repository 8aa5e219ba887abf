/**
 * What a socket ended of. Only what WhatsApp says in a stanza of an opened session, behind the
 * certificate that Noise checks, means anything to the session; a failure of the way there (names,
 * TLS, proxies, whoever answers in WhatsApp's place) means only that WhatsApp cannot be reached.
 */

/** The words are stable: the runtime has a sentence for each. */
export type WayCause =
  | "dns_failed"
  | "connection_refused"
  | "network_unreachable"
  | "connection_reset"
  | "timed_out"
  | "certificate_untrusted"
  | "certificate_expired"
  | "certificate_not_yet_valid"
  | "certificate_wrong_host"
  | "tls_failed"
  | "http_answer"
  | "not_whatsapp"
  | ProxyCause;

export type ProxyCause =
  | "proxy_not_allowed"
  | "proxy_unreachable"
  | "proxy_certificate"
  | "proxy_credentials"
  | "proxy_refused"
  | "proxy_answer";

export type Cause = WayCause | "whatsapp" | "runtime" | "backlog" | "qr_ended" | "connection_lost" | "silent";

/** How far a socket had come. */
export type Reached = "nothing" | "websocket" | "session";

/** A proxy that does not let us through. */
export class ProxyFailure extends Error {
  readonly failed: ProxyCause;

  constructor(failed: ProxyCause, message: string) {
    super(message);
    this.failed = failed;
  }
}

const BY_CODE: readonly (readonly [WayCause, RegExp])[] = [
  ["certificate_expired", /^CERT_HAS_EXPIRED$/],
  ["certificate_not_yet_valid", /^CERT_NOT_YET_VALID$/],
  ["certificate_wrong_host", /^(ERR_TLS_CERT_ALTNAME_|HOSTNAME_MISMATCH$)/],
  [
    "certificate_untrusted",
    /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_|ERROR_IN_C|EE_KEY_|CA_KEY_|CA_MD_)/,
  ],
  ["dns_failed", /^(ENOTFOUND|EAI_)/],
  ["connection_refused", /^ECONNREFUSED$/],
  ["network_unreachable", /^(EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EADDRNOTAVAIL|EACCES|EPERM)$/],
  ["connection_reset", /^(ECONNRESET|ECONNABORTED|EPIPE)$/],
  ["timed_out", /^(ETIMEDOUT|ESOCKETTIMEDOUT|ERR_SOCKET_CONNECTION_TIMEOUT)$/],
  ["tls_failed", /^(EPROTO$|ERR_SSL_|ERR_TLS_|ERR_OSSL_)/],
  ["http_answer", /^HPE_/],
];

/** The cause of an end that WhatsApp did not announce. */
export function causeOf(error: Error | undefined, reached: Reached): Cause {
  const raw = rootOf(error);
  if (raw instanceof ProxyFailure) return raw.failed;
  if (reached === "session") return "connection_lost";
  const code = codeOf(raw);
  const known = BY_CODE.find(([, codes]) => codes.test(code));
  if (known !== undefined) return known[0];
  if (/timed out/i.test(raw?.message ?? "")) return "timed_out";
  // Whoever takes the hello and hangs up, or answers something else than WhatsApp's own handshake.
  if (reached === "websocket") return isHangUp(error) ? "connection_reset" : "not_whatsapp";
  return "http_answer";
}

/** Whether the error is one of TLS to whom it was spoken to, of its certificate above all. */
export function isTls(error: unknown): boolean {
  const cause = causeOf(error as Error, "nothing");
  return cause.startsWith("certificate_") || cause === "tls_failed";
}

/** Baileys wraps the transport's error; several addresses tried in vain are one error of several. */
function rootOf(error: Error | undefined): Error | undefined {
  const { data, errors } = (error ?? {}) as { data?: unknown; errors?: unknown[] };
  if (data instanceof Error) return rootOf(data);
  if (codeOf(error) === "" && errors?.[0] instanceof Error) return rootOf(errors[0]);
  return error;
}

function codeOf(error: Error | undefined): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "";
}

function isHangUp(error: Error | undefined): boolean {
  const { output } = (error ?? {}) as { output?: { statusCode?: number } };
  return output?.statusCode === 428;
}
