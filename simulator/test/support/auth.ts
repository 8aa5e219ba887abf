// What every Baileys host has to bring: somewhere to keep keys, and a logger.
import {
  type AuthenticationState,
  initAuthCreds,
  type SignalDataSet,
  type SignalDataTypeMap,
  type UserFacingSocketConfig,
} from "baileys";

export function memoryAuth(): AuthenticationState {
  const data = new Map<string, unknown>();
  return {
    creds: initAuthCreds(),
    keys: {
      get: async <T extends keyof SignalDataTypeMap>(type: T, ids: string[]) => {
        const found: { [id: string]: SignalDataTypeMap[T] } = {};
        for (const id of ids) {
          const value = data.get(`${type}:${id}`);
          if (value !== undefined) found[id] = structuredClone(value) as SignalDataTypeMap[T];
        }
        // rc14 expects sender keys as Buffers.
        if (type === "sender-key") {
          for (const id in found) found[id] = Buffer.from(found[id] as Uint8Array) as never;
        }
        return found;
      },
      set: async (sets: SignalDataSet) => {
        for (const [type, entries] of Object.entries(sets)) {
          for (const [id, value] of Object.entries(entries ?? {})) {
            if (value === null || value === undefined) data.delete(`${type}:${id}`);
            else data.set(`${type}:${id}`, structuredClone(value));
          }
        }
      },
    },
  };
}

const silent = {
  level: "silent",
  child: () => silent,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export const silentLogger = silent as unknown as NonNullable<UserFacingSocketConfig["logger"]>;
