// What the admin API shows of the state.
import type { Account } from "./account.ts";
import type { Fault } from "./faults.ts";
import type { Group } from "./groups.ts";
import type { World } from "./world.ts";

export function describeAccount(account: Account): object {
  return {
    number: account.number,
    lid: account.lidJid,
    jid: account.pnJid,
    name: account.name,
    role: account.role,
    addressing: account.addressing,
    ...account.manners,
    sent: account.sent.size,
    received: account.received.size,
    companions: [...account.companions.values()].map((companion) => ({
      device: companion.device,
      platform: companion.platform,
      connected: companion.connection !== undefined,
      active: companion.connection?.active ?? false,
      pending: companion.queue.size,
      preKeys: companion.preKeys.size,
    })),
  };
}

export function describeGroup(group: Group): object {
  return { jid: group.jid, subject: group.subject, members: [...group.members.keys()] };
}

export function describeMedia({ media }: World): object {
  const blobs = [...media.blobs].map(([path, { bytes, downloads, expired }]) => ({
    path,
    size: bytes.length,
    downloads,
    expired: expired ?? null,
  }));
  return { host: media.authority, uploads: media.uploads, reuploads: media.reuploads, blobs };
}

/** Counters without end are shown as null. */
export function faultView(fault: Fault): object {
  return { ...fault, remaining: Number.isFinite(fault.remaining) ? fault.remaining : null };
}

export function describeState(world: World): object {
  const accounts = [...world.accounts.values()];
  return {
    phones: accounts.filter(({ role }) => role === "phone").map(describeAccount),
    contacts: accounts.filter(({ role }) => role === "contact").map(describeAccount),
    groups: [...world.groups.values()].map(describeGroup),
    connections: [...world.connections].map((connection) => ({
      phone: connection.phone ?? null,
      device: connection.companion?.device ?? null,
      pairing: connection.registration !== undefined,
      linkCodeFor: connection.registration?.linkCode?.number ?? null,
      active: connection.active,
      openedAt: connection.openedAt,
      stanzasReceived: connection.received,
      stanzasSent: connection.sent,
    })),
    faults: world.faults.list().map(faultView),
    unknownRequests: Object.fromEntries(world.unknownRequests),
  };
}
