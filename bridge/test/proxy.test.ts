import assert from "node:assert/strict";
import { createServer as createHttps, request as requestHttps } from "node:https";
import { createServer as createTcp, connect } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createServer as createTls } from "node:tls";

import { MEDIA_CERTIFICATE } from "../../simulator/src/media-certificate.ts";
import { PRIVATE_KEY } from "../../simulator/src/media-host.ts";
import type { Proxy } from "../src/session/behaviour.ts";
import { ProxyAgent } from "../src/session/proxy.ts";
import { ProxyFailure } from "../src/session/way.ts";

function at(url: string, ...addresses: string[]): Proxy {
  return { url, addresses: addresses.length > 0 ? addresses : ["127.0.0.1"] };
}

async function listen(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A CONNECT proxy that answers with the status, then tunnels if that was 200. */
function connectProxy(status: string, seen: string[]): Server {
  return createTcp((client: Socket) => {
    client.on("error", () => undefined);
    client.once("data", (bytes: Buffer) => {
      const head = bytes.toString("latin1");
      seen.push(head);
      const [host, port] = head.split(" ")[1]!.split(":");
      client.write(`HTTP/1.1 ${status}\r\n\r\n`);
      if (status !== "200 OK") return client.end();
      const server = connect(Number(port), host);
      server.on("error", () => client.destroy());
      client.on("close", () => server.destroy());
      client.pipe(server).pipe(client);
    });
  });
}

function ask(port: number, agent: ProxyAgent): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = requestHttps(
      { host: "127.0.0.1", port, path: "/x", agent, ca: MEDIA_CERTIFICATE },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += String(chunk)));
        response.on("end", () => resolve(text));
      },
    );
    request.on("error", reject);
    request.end();
  });
}

test("TLS is spoken to the destination through the tunnel, with the proxy's login", async (t) => {
  const seen: string[] = [];
  const web = createHttps({ cert: MEDIA_CERTIFICATE, key: PRIVATE_KEY }, (_request, response) => {
    response.setHeader("connection", "close");
    response.end("inside");
  });
  const destination = await listen(t, web);
  const proxy = await listen(t, connectProxy("200 OK", seen));
  const agent = new ProxyAgent(at(`http://user:s%40cret@127.0.0.1:${proxy}`), true);
  assert.equal(await ask(destination, agent), "inside");
  assert.match(seen[0]!, new RegExp(`^CONNECT 127.0.0.1:${destination} HTTP/1.1\r\n`));
  const login = Buffer.from("user:s@cret").toString("base64");
  assert.ok(seen[0]!.includes(`Proxy-Authorization: Basic ${login}`));
});

test("a refusal is an error that does not tell the password", async (t) => {
  const proxy = await listen(t, connectProxy("407 Proxy Authentication Required", []));
  const agent = new ProxyAgent(at(`http://user:hidden@127.0.0.1:${proxy}`), true);
  await assert.rejects(ask(9, agent), (error: Error) => {
    assert.match(error.message, /refused: 407/);
    assert.ok(!error.message.includes("hidden"));
    return true;
  });
});

test("a proxy that is not there is an error", async () => {
  await assert.rejects(ask(9, new ProxyAgent(at("socks5://127.0.0.1:9"), true)), {
    failed: "proxy_unreachable",
  });
});

/** Answers the first bytes with these, then does as `end` says. */
function saying(answer: string | Buffer, end: (client: Socket) => void = (client) => client.end()): Server {
  return createTcp((client) => {
    client.on("error", () => undefined);
    client.once("data", () => {
      client.write(answer);
      end(client);
    });
  });
}

const HANG_UP = createTcp((client) => client.destroy());
const RESET = createTcp((client) => client.resetAndDestroy());

for (const [what, scheme, cause, proxy] of [
  ["407", "http", "proxy_credentials", saying("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")],
  ["502", "http", "proxy_refused", saying("HTTP/1.1 502 Bad Gateway\r\n\r\n")],
  ["403", "http", "proxy_refused", saying("HTTP/1.0 403 Forbidden\r\n\r\n<html>")],
  ["a page that never ends", "http", "proxy_answer", saying("<html>".repeat(4000))],
  ["half an answer", "http", "proxy_answer", saying("HTTP/1.1 2")],
  ["another protocol", "http", "proxy_answer", saying("SSH-2.0-OpenSSH_9\r\n\r\n")],
  ["a hang-up", "http", "proxy_answer", HANG_UP],
  ["a reset", "http", "proxy_unreachable", RESET],
  ["a wrong password", "socks5", "proxy_credentials", saying(Buffer.from([5, 255]))],
  ["a refusal", "socks5", "proxy_refused", saying(Buffer.from([5, 0, 5, 5, 0, 1]))],
  ["HTTP", "socks5", "proxy_answer", saying("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ["no TLS", "https", "proxy_certificate", saying("HTTP/1.1 400 Bad Request\r\n\r\n")],
] as const) {
  test(`${what} of a proxy (${scheme}) is ${cause}`, async (t) => {
    const port = await listen(t, proxy);
    const agent = new ProxyAgent(at(`${scheme}://user:hidden@127.0.0.1:${port}`), true);
    await assert.rejects(ask(9, agent), (error: Error) => {
      assert.ok(error instanceof ProxyFailure, String(error));
      assert.equal(error.failed, cause, error.message);
      assert.ok(!error.message.includes("hidden"));
      return true;
    });
  });
}

test("a proxy whose certificate nobody vouches for is told apart", async (t) => {
  const proxy = await listen(t, createTls({ cert: MEDIA_CERTIFICATE, key: PRIVATE_KEY }, () => undefined));
  await assert.rejects(ask(9, new ProxyAgent(at(`https://127.0.0.1:${proxy}`), true)), { failed: "proxy_certificate" });
});

test("only the judged addresses are connected to, whatever the name means", async (t) => {
  const seen: string[] = [];
  const proxy = await listen(t, connectProxy("502 Bad Gateway", seen));
  const named = `http://does-not-exist.invalid:${proxy}`;
  await assert.rejects(ask(9, new ProxyAgent(at(named, "127.0.0.1"), true)), { failed: "proxy_refused" });
  assert.equal(seen.length, 1);
  const here = `http://127.0.0.1:${proxy}`;
  await assert.rejects(ask(9, new ProxyAgent({ url: here, addresses: [] }, true)), { failed: "proxy_not_allowed" });
  await assert.rejects(ask(9, new ProxyAgent(at(here, "127.0.0.2", "::1"), true)), { failed: "proxy_unreachable" });
  assert.equal(seen.length, 1);
});

test("an address that does not answer is not the last one", async (t) => {
  const seen: string[] = [];
  const proxy = await listen(t, connectProxy("502 Bad Gateway", seen));
  const agent = new ProxyAgent(at(`http://proxy.example:${proxy}`, "127.0.0.3", "127.0.0.1"), true);
  await assert.rejects(ask(9, agent), { failed: "proxy_refused" });
});

for (const [what, end] of [
  ["hangs up", (client: Socket): void => void client.destroy()],
  ["resets", (client: Socket): void => void client.resetAndDestroy()],
  ["answers in WhatsApp's place", (client: Socket): void => void client.end("HTTP/1.1 200 OK\r\n\r\n<html>")],
  ["hangs up a moment later", (client: Socket): void => void setTimeout(() => client.resetAndDestroy(), 20)],
] as const) {
  test(`a proxy that ${what} behind its own answer is an error, and no more`, async (t) => {
    const proxy = await listen(t, saying("HTTP/1.1 200 OK\r\n\r\n", end));
    for (let turn = 0; turn < 20; turn += 1) {
      await assert.rejects(ask(9, new ProxyAgent(at(`http://127.0.0.1:${proxy}`), true)));
    }
  });
}
