// What a restart of the simulator has to keep: accounts, companions, groups, app state. Messages
// under way, the ledger and the Signal sessions of contacts are not kept; sessions heal by
// themselves, as after a reinstallation.
import { BufferJSON } from "baileys";
import type { Account, Addressing, Manners, Role } from "./account.ts";
import { Companion, type CompanionKeys } from "./companion.ts";
import type { Group } from "./groups.ts";
import type { DeviceKeys } from "./signal-device.ts";
import type { World } from "./world.ts";

type SavedCompanion = {
  device: number;
  platform: string;
  keys: CompanionKeys;
  preKeys: [number, Buffer][];
  bootstrapped: boolean;
};

type SavedAccount = {
  number: string;
  lid: string;
  name: string;
  role: Role;
  addressing: Addressing;
  manners: Manners;
  keys: DeviceKeys;
  nextDevice: number;
  companions: SavedCompanion[];
  appState: [string, Uint8Array[]][];
};

type SavedGroup = { jid: string; subject: string; createdAt: number; owner: string; members: string[] };

type Saved = { version: 1; accounts: SavedAccount[]; groups: SavedGroup[] };

/** The state as JSON text. It holds private keys, of simulated devices only. */
export function serialize(world: World): string {
  const saved: Saved = {
    version: 1,
    accounts: [...world.accounts.values()].map(saveAccount),
    groups: [...world.groups.values()].map(saveGroup),
  };
  return JSON.stringify(saved, BufferJSON.replacer);
}

/** Fills an empty world from `serialize`'s text. */
export function restore(world: World, text: string): void {
  const saved = JSON.parse(text, reviveBytes) as Saved;
  if (saved.version !== 1) throw new Error("the state file is of another version");
  for (const account of saved.accounts) restoreAccount(world, account);
  for (const { members, owner, ...group } of saved.groups) {
    const accounts = members.map((number) => world.accounts.get(number)!);
    const restored: Group = {
      ...group,
      owner: world.accounts.get(owner)!,
      members: new Map(accounts.map((account) => [account.number, account])),
    };
    world.groups.set(group.jid, restored);
  }
}

/** Only what the replacer marked: Baileys' own reviver takes any list of numbers for bytes. */
function reviveBytes(_key: string, value: unknown): unknown {
  const marked = value as { type?: unknown; data?: unknown } | null;
  const isBytes = typeof marked === "object" && marked?.type === "Buffer" && typeof marked.data === "string";
  return isBytes ? Buffer.from(marked.data as string, "base64") : value;
}

function saveAccount(account: Account): SavedAccount {
  const { addressing, appState, device, lid, manners, name, nextDevice, number, role } = account;
  const companions = [...account.companions.values()].map((companion) => ({
    device: companion.device,
    platform: companion.platform,
    keys: companion.keys,
    preKeys: [...companion.preKeys],
    bootstrapped: companion.bootstrapped,
  }));
  const keys = device.keys;
  return { number, lid, name, role, addressing, manners, keys, nextDevice, companions, appState: [...appState] };
}

function saveGroup({ createdAt, jid, members, owner, subject }: Group): SavedGroup {
  return { jid, subject, createdAt, owner: owner.number, members: [...members.keys()] };
}

function restoreAccount(world: World, saved: SavedAccount): void {
  const account = world.addAccount(saved);
  account.manners = saved.manners;
  account.nextDevice = saved.nextDevice;
  for (const [name, patches] of saved.appState) account.appState.set(name, patches);
  for (const { device, keys, platform, preKeys, bootstrapped } of saved.companions) {
    const companion = new Companion(account, device, keys, platform);
    for (const [id, key] of preKeys) companion.preKeys.set(id, key);
    companion.bootstrapped = bootstrapped;
    account.companions.set(device, companion);
  }
}
