// Faults that strike the connections there are, beside those that wait for their moment.
import type { Fault, FaultRequest } from "./faults.ts";
import { type BinaryNode, node } from "./nodes.ts";
import { faultView } from "./views.ts";
import type { World } from "./world.ts";

/** Registers a fault, or carries it out when it is one of the moment. */
export function applyFault(world: World, request: FaultRequest): object {
  const connections = world.connectionsOf(request.phone);
  if (request.kind === "drop" && request.after === undefined) {
    for (const connection of connections) connection.destroy(request.reset);
    return { struck: connections.length };
  }
  if (request.kind === "stream-error") {
    const code = request.code ?? 503;
    for (const connection of connections) connection.streamError(code, streamErrorReason(code));
    return { struck: connections.length };
  }
  const fault = world.faults.add(request.kind === "drop" ? { times: 1, ...request } : request);
  if (request.kind === "silence") for (const connection of connections) connection.goSilent();
  if (request.kind === "freeze") for (const connection of connections) connection.freeze();
  return faultView(fault);
}

/** What the end of a fault means for the connections it held. */
export function endFault(world: World, fault: Fault): void {
  for (const connection of world.connectionsOf(fault.phone)) {
    if (fault.kind === "freeze") connection.thaw();
    // Both ends of a half-open connection disagree about what was said: it cannot be mended.
    if (fault.kind === "silence" && connection.silent) connection.destroy();
  }
}

function streamErrorReason(code: number): BinaryNode | undefined {
  if (code === 440) return node("conflict", { type: "replaced" });
  if (code === 401) return node("conflict", { type: "device_removed" });
  return undefined;
}
