// The supervision tree, live.

import { html } from "./preact-htm.js";
import { api } from "./api.js";
import { ago, number, t } from "./i18n.js";
import { Card, Empty, Pill } from "./ui.js";

const TONES = {
  running: "good", parked: "bad", backoff: "warn", starting: "warn", draining: "warn", stopping: "warn",
};

export const nodes = (node) => (node ? [node, ...node.children.flatMap(nodes)] : []);

// A connection that was logged out on request waits without being in trouble, but it waits.
export const parkedNodes = (tree) => nodes(tree).filter((node) => node.state === "parked");

export function Supervision({ system, act }) {
  const { stats, connections } = system;
  if (!stats) return html`<${Empty} title=${system.restricted ? t("forbidden") : t("loading")} />`;
  return html`
    <${Card} title=${t("tree")}>
      <p class="soft">${t("treeHint")}</p>
      <ul class="tree">
        <${Branch} node=${stats.tree} connections=${connections ?? []} act=${act} />
      </ul>
    <//>
  `;
}

function Branch({ node, connections, act }) {
  const state = node.state === "stopped" ? t("stoppedState") : t(node.state);
  const connection = connections.find((one) => node.path?.endsWith(`/connections/${one.id}`));
  const title = connection?.name ?? t(node.name, "parts");
  const trouble = node.state === "parked" || node.state === "backoff";
  return html`
    <li>
      <div class=${`node ${TONES[node.state] ?? "quiet"}`} data-path=${node.path}>
        <span class="dot"></span>
        <span class="node-name">
          <strong>${title}</strong>${title !== node.name && html` <code>${node.name}</code>`}
        </span>
        ${node.restarts > 0 &&
        html`<${Pill} tone="warn">${number(node.restarts)} ${node.restarts === 1 ? t("restart1") : t("restarts")}<//>`}
        <span class="node-state">${state} <span class="soft">${ago(node.since)}</span></span>
        ${node.state === "parked" &&
        html`<button class="button small" onClick=${() => act(() => api.unpark(node.path), t("done_unpark"))}>
          ${t("unpark")}<span class="hidden"> ${title}</span>
        </button>`}
        ${trouble && node.lastExit?.reason && html`<p class="reason">${node.lastExit.reason}</p>`}
      </div>
      ${node.children.length > 0 &&
      html`<ul>
        ${node.children.map(
          (child) => html`<${Branch} key=${child.name} node=${child} connections=${connections} act=${act} />`,
        )}
      </ul>`}
    </li>
  `;
}
