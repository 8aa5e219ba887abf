import assert from "node:assert/strict";
import { createServer as createHttps, request as requestHttps } from "node:https";
import { createServer as createTcp, connect } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { MEDIA_CERTIFICATE } from "../../simulator/src/media-certificate.ts";
import { PRIVATE_KEY } from "../../simulator/src/media-host.ts";
import { ProxyAgent } from "../src/session/proxy.ts";

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
  const agent = new ProxyAgent(`http://user:s%40cret@127.0.0.1:${proxy}`, true);
  assert.equal(await ask(destination, agent), "inside");
  assert.match(seen[0]!, new RegExp(`^CONNECT 127.0.0.1:${destination} HTTP/1.1\r\n`));
  const login = Buffer.from("user:s@cret").toString("base64");
  assert.ok(seen[0]!.includes(`Proxy-Authorization: Basic ${login}`));
});

test("a refusal is an error that does not tell the password", async (t) => {
  const proxy = await listen(t, connectProxy("407 Proxy Authentication Required", []));
  const agent = new ProxyAgent(`http://user:hidden@127.0.0.1:${proxy}`, true);
  await assert.rejects(ask(9, agent), (error: Error) => {
    assert.match(error.message, /refused: 407/);
    assert.ok(!error.message.includes("hidden"));
    return true;
  });
});

test("a proxy that is not there is an error", async () => {
  await assert.rejects(ask(9, new ProxyAgent("socks5://127.0.0.1:9", true)), /ECONNREFUSED/);
});
