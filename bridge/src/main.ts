// The entry point. Nothing may be imported statically here: libsignal prints whole sessions,
// private keys included, so the console has to be silent before any library is loaded.

const silent = (): void => undefined;
for (const name of Object.keys(console) as (keyof Console)[]) {
  if (typeof console[name] === "function") {
    Object.defineProperty(console, name, { value: silent });
  }
}

// Every file made by this process is private to its user: credentials live here.
process.umask(0o077);

const token = process.env["ZAPVISOR_BRIDGE_TOKEN"] ?? "";
delete process.env["ZAPVISOR_BRIDGE_TOKEN"];

// Baileys takes and spells a stack for every frame that it writes, in case that fails.
Error.stackTraceLimit = 3;
await import("./key-objects.ts");
const { run } = await import("./process.ts");
await run(token);

export {};
