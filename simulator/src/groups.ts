// Groups: who is in them and how the server describes them.
import type { Account } from "./account.ts";
import { type BinaryNode, node } from "./nodes.ts";
import { stanzaId, type World } from "./world.ts";

export type Group = {
  /** `…@g.us` */
  readonly jid: string;
  subject: string;
  readonly createdAt: number;
  readonly owner: Account;
  readonly members: Map<string, Account>;
};

let groupCounter = 0;

export function createGroup(subject: string, members: readonly Account[]): Group {
  const owner = members[0];
  if (!owner) throw new RangeError("a group needs members");
  groupCounter += 1;
  return {
    jid: `1203634${String(Date.now()).slice(-8)}${String(groupCounter).padStart(3, "0")}@g.us`,
    subject,
    createdAt: Math.floor(Date.now() / 1000),
    owner,
    members: new Map(members.map((account) => [account.number, account])),
  };
}

/** A member gives the group another name; the companions of all members are told. */
export function renameGroup(world: World, group: Group, subject: string): void {
  group.subject = subject;
  const t = world.timestamp();
  for (const member of group.members.values()) {
    for (const companion of member.companions.values()) {
      const { lidJid, pnJid } = group.owner;
      const attrs = { id: stanzaId(), from: group.jid, participant: lidJid, participant_pn: pnJid, type: "w:gp2", t };
      companion.deliver("notification", node("notification", attrs, [node("subject", { subject, s_t: t, s_o: lidJid })]));
    }
  }
}

/** The `<group>` node of metadata answers. */
export function groupNode(group: Group): BinaryNode {
  const created = String(group.createdAt);
  return node(
    "group",
    {
      id: group.jid.split("@")[0],
      subject: group.subject,
      s_t: created,
      creation: created,
      creator: group.owner.lidJid,
      creator_pn: group.owner.pnJid,
      addressing_mode: "lid",
      size: String(group.members.size),
    },
    [...group.members.values()].map((member) =>
      node("participant", {
        jid: member.lidJid,
        phone_number: member.pnJid,
        type: member === group.owner ? "superadmin" : undefined,
      }),
    ),
  );
}
