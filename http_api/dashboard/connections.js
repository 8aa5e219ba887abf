// The WhatsApp numbers: state and reason, and what can be done about them.

import { html, useState } from "./preact-htm.js";
import { api } from "./api.js";
import { ago, number, phone, t } from "./i18n.js";
import { Card, Confirm, Dialog, Empty, Field, Icon, Pill } from "./ui.js";
import { Pairing } from "./pairing.js";

const TONES = { connected: "good", connecting: "warn", disconnected: "quiet", error: "bad" };

export function Connections({ connections, counters = [], act }) {
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const add = html`
    <button class="button primary" onClick=${() => setDialog({ kind: "new" })}>
      <${Icon} name="plus" />${t("newConnection")}
    </button>
  `;
  return html`
    <${Card} title=${t("connections")} extra=${add} className="connections-card">
      ${connections.length === 0
        ? html`<${Empty} title=${t("noConnections")} hint=${t("noConnectionsHint")} />`
        : html`
            <ul class="connections">
              ${connections.map(
                (one) => html`
                  <${Connection}
                    key=${one.id} connection=${one} act=${act} ask=${setDialog}
                    counters=${counters.find((counter) => counter.id === one.id)}
                  />
                `,
              )}
            </ul>
          `}
    <//>
    ${dialog?.kind === "new" &&
    html`<${NewConnection}
      connections=${connections} act=${act} onClose=${close}
      onCreated=${(id) => setDialog({ kind: "pair", id })}
    />`}
    ${dialog?.kind === "pair" && html`<${Pairing} connectionId=${dialog.id} onClose=${close} />`}
    ${dialog?.kind === "ask" &&
    html`<${Confirm}
      question=${dialog.question} onClose=${close}
      onConfirm=${() => {
        close();
        void act(dialog.work, dialog.done);
      }}
    />`}
  `;
}

function Connection({ connection, counters, act, ask }) {
  const { id, name, status, statusCode, statusReason } = connection;
  const parked = Boolean(statusCode);
  const waits = status === "connecting" && !connection.phoneNumber;
  const tone = parked && status === "disconnected" ? "quiet" : TONES[status];
  return html`
    <li class=${`connection ${tone}`} data-connection=${id}>
      <div class="connection-main">
        <p class="connection-name"><strong>${name}</strong>${name !== id && html` <span class="soft">${id}</span>`}</p>
        <p class="soft">
          ${connection.phoneNumber ? phone(connection.phoneNumber) : "–"} · ${ago(connection.since)}
        </p>
        ${statusReason && status !== "connected" && html`<p class="reason">${statusReason}</p>`}
      </div>
      ${counters &&
      html`<p class="counters">
        <span title=${t("received")}><span aria-hidden="true">↓</span> ${number(counters.received)}<span class="hidden"> ${t("received")}</span></span>
        <span title=${t("sent")}><span aria-hidden="true">↑</span> ${number(counters.sent)}<span class="hidden"> ${t("sent")}</span></span>
      </p>`}
      <${Pill} tone=${tone}>${waits ? t("waitingQr") : t(status)}<//>
      <div class="row">
        ${waits && html`<button class="button" onClick=${() => ask({ kind: "pair", id })}>${t("pair")}</button>`}
        ${parked &&
        html`<button class="button" onClick=${() => act(() => api.restart(id), t("done_restart"))}>
          ${t("restart")}
        </button>`}
        <${Menu} connection=${connection} act=${act} ask=${ask} />
      </div>
    </li>
  `;
}

function Menu({ connection, act, ask }) {
  const { id, name } = connection;
  const choose = (work) => (event) => {
    event.target.closest("details").open = false;
    work();
  };
  const leave = (event) => {
    if (!event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false;
  };
  return html`
    <details class="menu" onFocusOut=${leave} onKeyDown=${(event) => {
      if (event.key === "Escape") event.currentTarget.open = false;
    }}>
      <summary class="icon-button" aria-label=${`${t("actions")} ${name}`}><${Icon} name="more" /></summary>
      <div class="menu-items">
        <button onClick=${choose(() => act(() => api.restart(id), t("done_restart")))}>${t("restart")}</button>
        <button onClick=${choose(() =>
          ask({ kind: "ask", question: t("confirmLogout"), work: () => api.logout(id), done: t("done_logout") }))}>
          ${t("logout")}
        </button>
        <button class="bad" onClick=${choose(() =>
          ask({ kind: "ask", question: t("confirmRemove"), work: () => api.remove(id), done: t("done_remove") }))}>
          ${t("remove")}
        </button>
      </div>
    </details>
  `;
}

const slug = (name) =>
  name
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 64);

function NewConnection({ connections, act, onClose, onCreated }) {
  const [name, setName] = useState("");
  const [id, setId] = useState(null); // null: follows the name
  const owners = [...new Set(connections.map((one) => one.ownerId))];
  const [owner, setOwner] = useState(owners.length === 1 ? owners[0] : "");
  const submit = async (event) => {
    event.preventDefault();
    const body = { name, connectionId: id ?? slug(name), ownerId: owner.trim() };
    const created = await act(() => api.createConnection(body));
    if (created) onCreated(created.connectionId);
  };
  return html`
    <${Dialog} title=${t("newConnection")} onClose=${onClose}>
      <form onSubmit=${submit}>
        <${Field}
          id="new-name" label=${t("name")} hint=${t("nameHint")} value=${name} required maxlength="100"
          autocomplete="off" onInput=${(event) => setName(event.target.value)}
        />
        <${Field}
          id="new-id" label=${t("identifier")} hint=${t("identifierHint")} value=${id ?? slug(name)} required
          pattern="[A-Za-z0-9_\\-]{1,64}" autocomplete="off" onInput=${(event) => setId(event.target.value)}
        />
        <${Field}
          id="new-owner" label=${t("owner")} hint=${t("ownerHint")} value=${owner} required list="owners"
          autocomplete="off" spellcheck="false" onInput=${(event) => setOwner(event.target.value)}
        />
        <datalist id="owners">${owners.map((one) => html`<option value=${one} />`)}</datalist>
        <div class="row end">
          <button type="button" class="button" onClick=${onClose}>${t("cancel")}</button>
          <button class="button primary">${t("create")}</button>
        </div>
      </form>
    <//>
  `;
}
