// The listening server: WhatsApp's WebSocket and the admin API on one loopback port.
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer } from "ws";
import { createAdmin } from "./admin.ts";
import { Connection } from "./connection.ts";
import { endFault } from "./fault-actions.ts";
import { World } from "./world.ts";

export type ServerOptions = {
  /** 0 takes any free port. */
  readonly port?: number;
  readonly host?: string;
  /** Asked of admin callers as `Authorization: Bearer …`; none when absent. */
  readonly token?: string | undefined;
  readonly world?: World;
};

export type Simulator = {
  readonly world: World;
  readonly whatsappUrl: string;
  readonly adminUrl: string;
  readonly close: () => Promise<void>;
};

const WHATSAPP_PATH = "/ws/chat";
const LOOPBACK_HOSTS = new Set(["127.0.0.1", "::1", "localhost"]);

export function isLoopback(address: string | undefined): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address ?? "");
}

/** Starts a simulator; refuses any host but loopback. */
export async function startSimulator(options: ServerOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, token, world = new World() } = options;
  if (!LOOPBACK_HOSTS.has(host)) throw new RangeError(`the simulator listens on loopback only, not on ${host}`);
  world.faults.onEnd = (fault) => endFault(world, fault);
  const server = createServer(createAdmin(world, token));
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 16 * 1024 * 1024 });
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => undefined);
    if (!isLoopback(socket.remoteAddress)) {
      socket.destroy();
      return;
    }
    const refusal = world.faults.strike("refuse-upgrade");
    if (refusal || request.url?.split("?")[0] !== WHATSAPP_PATH) {
      refuse(socket, refusal ? (refusal.code ?? 503) : 404);
      return;
    }
    socket.setNoDelay(true);
    webSockets.handleUpgrade(request, socket, head, (webSocket) => new Connection(world, webSocket, socket));
  });
  await listen(server, port, host);
  await world.media.listen();
  const { port: bound } = server.address() as AddressInfo;
  const authority = `${host === "::1" ? "[::1]" : "127.0.0.1"}:${bound}`;
  return {
    world,
    whatsappUrl: `ws://${authority}${WHATSAPP_PATH}`,
    adminUrl: `http://${authority}`,
    close: () => close(server, world),
  };
}

/** Code 0 hangs up without an answer. */
function refuse(socket: Socket, code: number): void {
  if (code === 0) socket.destroy();
  else socket.end(`HTTP/1.1 ${code} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
}

async function close(server: Server, world: World): Promise<void> {
  for (const timer of world.schedules) clearInterval(timer);
  world.faults.clearAll();
  for (const connection of [...world.connections]) connection.destroy();
  server.closeAllConnections();
  await world.media.close();
  await new Promise((resolve) => server.close(resolve));
}
