// The API, with the operator's key. The key lives in sessionStorage and in headers, nowhere else.

const KEY = "zapvisor.key";
const INTEGRATION = "/api/whatsapp-integration";
const BOOTSTRAP = "/api/whatsapp-bootstrap";
const DEADLINE = 35_000; // a little more than the API gives itself

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let onRefused = () => {};

export const session = {
  get key() {
    return sessionStorage.getItem(KEY);
  },
  open(key) {
    sessionStorage.setItem(KEY, key);
  },
  close() {
    sessionStorage.removeItem(KEY);
  },
  whenRefused(callback) {
    onRefused = callback;
  },
};

const call = (method, path, { body, headers = {}, key = session.key } = {}) =>
  fetch(path, {
    method,
    headers: {
      "X-Api-Key": key,
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(DEADLINE),
    credentials: "omit",
  });

function refusal(response, answer, key = session.key) {
  if (response.status === 401 && key === session.key) onRefused();
  return new ApiError(response.status, answer?.code ?? "unknown", answer?.error ?? response.statusText);
}

async function request(method, path, options = {}) {
  const response = await call(method, path, options);
  const answer = await response.json().catch(() => null);
  if (response.ok && answer?.success) return answer.data;
  throw refusal(response, answer, options.key);
}

async function file(path) {
  const response = await call("GET", path);
  if (response.ok) return response.blob();
  throw refusal(response, await response.json().catch(() => null));
}

const id = encodeURIComponent;

export const api = {
  // Raises ApiError 401 for a key that is not valid; every credential may list what it reaches.
  check: (key) => request("GET", `${INTEGRATION}/connections`, { key }),
  stats: () => request("GET", `${BOOTSTRAP}/stats`),
  unpark: (path) => request("POST", `${BOOTSTRAP}/tree/unpark`, { body: { path } }),
  connections: () => request("GET", `${INTEGRATION}/connections`),
  createConnection: (body) => request("POST", `${INTEGRATION}/connections`, { body }),
  qr: (connection) => request("GET", `${INTEGRATION}/connections/${id(connection)}/qr`),
  pairingCode: (connection, phone) =>
    request("POST", `${INTEGRATION}/connections/${id(connection)}/pairing-code`, {
      body: { phone },
    }),
  restart: (connection) => request("POST", `${INTEGRATION}/connections/${id(connection)}/restart`),
  logout: (connection) => request("POST", `${INTEGRATION}/connections/${id(connection)}/logout`),
  remove: (connection) => request("DELETE", `${INTEGRATION}/connections/${id(connection)}`),
  atendimentos: (search) =>
    request("GET", `${INTEGRATION}/atendimentos?limit=50&search=${id(search)}`),
  // Those behind the row `after`, or from the first one.
  messages: (atendimento, after, limit) =>
    request("GET", `${INTEGRATION}/messages/${id(atendimento)}?limit=${limit}${after ? `&after=${id(after)}` : ""}`),
  media: (message) => file(`${INTEGRATION}/media/${id(message)}`),
  send: (body, idempotencyKey) =>
    request("POST", `${INTEGRATION}/messages/send`, {
      body,
      headers: { "Idempotency-Key": idempotencyKey },
    }),
  deadLetters: () => request("GET", `${INTEGRATION}/dead-letters?limit=100`),
  retry: (seq) => request("POST", `${INTEGRATION}/dead-letters/${seq}/retry`),
};

// Events of these names as they happen, by fetch because EventSource cannot send a header. Calls
// `onEvent` for each and `onState(live)` when the stream begins or ends; resumes after the last one.
export async function follow(names, onEvent, onState, signal) {
  let last = null;
  let wait = 1000;
  while (!signal.aborted) {
    try {
      const response = await fetch(`${INTEGRATION}/events?recent=200&event=${names}`, {
        headers: {
          "X-Api-Key": session.key,
          Accept: "text/event-stream",
          ...(last === null ? {} : { "Last-Event-ID": last }),
        },
        credentials: "omit",
        signal,
      });
      if (response.status === 401) onRefused();
      if ([401, 403, 404].includes(response.status)) return;
      if (response.ok) {
        onState(true);
        wait = 1000;
        for await (const frame of frames(response.body)) {
          if (frame.id) last = frame.id;
          if (frame.data) onEvent(JSON.parse(frame.data));
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      console.debug("events", error.name);
    }
    onState(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 30_000);
  }
}

async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value.replaceAll("\r", "");
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const frame = {};
      for (const line of part.split("\n")) {
        const at = line.indexOf(":");
        if (at <= 0) continue; // a comment: the stream's heartbeat
        const field = line.slice(0, at);
        const content = line.slice(at + 1).replace(/^ /, "");
        frame[field] = field === "data" && frame.data ? `${frame.data}\n${content}` : content;
      }
      yield frame;
    }
  }
}
