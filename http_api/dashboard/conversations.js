// A small view to read conversations and answer them.

import { html, useEffect, useRef, useState } from "./preact-htm.js";
import { api } from "./api.js";
import { ago, clock, day, phone, t } from "./i18n.js";
import { Media } from "./media.js";
import { Empty, Icon, Pill, stateOf, usePolling } from "./ui.js";

const POLL = 2000;
const PAGE = 500;
const LOOK_BACK = 40; // rows asked for again each time: their status may have changed
const STATUS_TONES = { AGUARDANDO: "warn", EM_ATENDIMENTO: "good", FINALIZADO: "quiet", CANCELADO: "quiet" };
const MARKS = { queued: "◷", sent: "✓", delivered: "✓✓", read: "✓✓", played: "✓✓", failed: "!", unknown: "?" };

const title = (row) => row.nome_cliente || phone(row.numero_cliente.split("@")[0]);

export function Conversations({ system, act }) {
  const [search, setSearch] = useState("");
  const [rows, setRows] = useState(null);
  const [problem, setProblem] = useState(null);
  const [chosen, setChosen] = useState(null);
  const newest = system.events[0]?.id;
  usePolling(
    async (isOver) => {
      try {
        const page = await api.atendimentos(search);
        if (isOver()) return;
        setRows(page.items);
        setProblem(null);
      } catch (error) {
        if (!isOver()) setProblem(error.message || t("unreachable"));
      }
    },
    POLL,
    [search, newest],
  );
  const several = (system.connections ?? []).length > 1;
  const nameOf = (id) => system.connections.find((one) => one.id === id)?.name ?? id;
  const open = rows?.find((row) => row.id === chosen?.id) ?? chosen;
  return html`
    <div class=${`chat card ${open ? "open" : ""}`}>
      <section class="chat-list" aria-label=${t("conversations")}>
        <div class="chat-search">
          <label class="hidden" for="search">${t("search")}</label>
          <input id="search" type="search" placeholder=${t("search")} value=${search}
            onInput=${(event) => setSearch(event.target.value)} />
        </div>
        ${problem && html`<p class="banner bad" role="alert">${problem}</p>`}
        ${rows === null
          ? !problem && html`<${Empty} title=${t("loading")} />`
          : rows.length === 0
            ? html`<${Empty} title=${t("noConversations")} />`
            : html`<ul>
                ${rows.map(
                  (row) => html`
                    <li key=${row.id}>
                      <button class="chat-row" aria-current=${open?.id === row.id ? "true" : undefined}
                        onClick=${() => setChosen(row)}>
                        <span class="avatar" aria-hidden="true">${title(row).replace("+", "").charAt(0).toUpperCase()}</span>
                        <span class="chat-line"><strong>${title(row)}</strong>
                          <span class="soft">${ago(row.ultima_mensagem)}</span></span>
                        <span class="chat-line"><span class="soft">
                            ${several && row.connection_id && `${nameOf(row.connection_id)} · `}${phone(row.numero_cliente.split("@")[0])}</span>
                          <${Pill} tone=${STATUS_TONES[row.status] ?? "quiet"}>${t(row.status)}<//></span>
                      </button>
                    </li>
                  `,
                )}
              </ul>`}
      </section>
      ${open
        ? html`<${Chat} key=${open.id} row=${open} newest=${newest} act=${act} onBack=${() => setChosen(null)} />`
        : html`<section class="chat-none" aria-label=${t("choose")}><${Empty} title=${t("choose")} /></section>`}
    </div>
  `;
}

// Rows by id, in the order of the table: what came again replaces what was there.
function merge(before, page) {
  const byId = new Map(before.map((row) => [row.id, row]));
  for (const row of page) byId.set(row.id, row);
  return [...byId.values()];
}

function useMessages(atendimento, newest) {
  const [rows, setRows] = useState(null);
  const held = useRef([]);
  const load = async (isOver = () => false) => {
    try {
      for (;;) {
        const known = held.current.at(-1 - LOOK_BACK);
        const page = await api.messages(atendimento, known?.id, PAGE);
        if (isOver()) return;
        held.current = merge(held.current, page);
        setRows(held.current);
        if (page.length < PAGE) return;
      }
    } catch (error) {
      console.debug("messages", error.message); // asked for again in a moment
    }
  };
  usePolling(load, POLL, [atendimento, newest]);
  return [rows, load];
}

function Chat({ row, newest, act, onBack }) {
  const [rows, load] = useMessages(row.id, newest);
  const end = useRef(null);
  const count = rows?.length ?? 0;
  useEffect(() => {
    end.current?.scrollTo({ top: end.current.scrollHeight });
  }, [count]);
  return html`
    <section class="chat-open" aria-label=${title(row)}>
      <header class="chat-head">
        <button class="icon-button back" aria-label=${t("back")} onClick=${onBack}><${Icon} name="back" /></button>
        <div><h2>${title(row)}</h2><p class="soft">${phone(row.numero_cliente.split("@")[0])}</p></div>
        <${Pill} tone=${STATUS_TONES[row.status] ?? "quiet"}>${t(row.status)}<//>
      </header>
      <div class="messages" ref=${end} tabindex="0" role="log" aria-label=${t("conversations")}>
        ${rows === null
          ? html`<${Empty} title=${t("loading")} />`
          : count === 0
            ? html`<${Empty} title=${t("emptyChat")} />`
            : rows.map((one, index) => html`<${Bubble} key=${one.id} row=${one} before=${rows[index - 1]} />`)}
      </div>
      ${row.connection_id
        ? html`<${Composer} row=${row} act=${act} onSent=${load} />`
        : html`<p class="soft center">${t("noConnection")}</p>`}
    </section>
  `;
}

function Bubble({ row, before }) {
  const ours = row.remetente !== "CLIENTE";
  const date = day(row.timestamp);
  const state = stateOf(row.status);
  return html`
    ${(!before || day(before.timestamp) !== date) && html`<p class="day"><span>${date}</span></p>`}
    <div class=${`bubble ${ours ? "ours" : "theirs"} ${row.status === "failed" ? "bad" : ""}`}>
      ${row.remetente === "SISTEMA" && html`<span class="bubble-who">${t("robot")}</span>`}
      ${row.midia_url && html`<${Media} row=${row} />`}
      <span class="bubble-text">${row.conteudo}</span>
      <span class="bubble-foot">
        <time datetime=${row.timestamp}>${clock(row.timestamp)}</time>
        ${ours && row.status && html`<span class=${`mark ${row.status}`} title=${state}>
          <span aria-hidden="true">${MARKS[row.status] ?? ""}</span><span class="hidden">${state}</span>
        </span>`}
      </span>
    </div>
  `;
}

function Composer({ row, act, onSent }) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const attempt = useRef(null); // of one text: sending it again after a failure sends it once
  const submit = async (event) => {
    event.preventDefault();
    if (busy || text.trim() === "") return;
    setBusy(true);
    if (attempt.current?.text !== text) attempt.current = { text, key: newKey() };
    const body = { connectionId: row.connection_id, to: row.numero_cliente, content: text, type: "text" };
    const sent = await act(() => api.send(body, attempt.current.key));
    if (sent) {
      attempt.current = null;
      setText("");
      await onSent();
    }
    setBusy(false);
  };
  const onKeyDown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    void submit(event);
  };
  return html`
    <form class="composer" onSubmit=${submit}>
      <label class="hidden" for="answer">${t("write")}</label>
      <textarea id="answer" rows="1" placeholder=${t("write")} value=${text} maxlength="65536"
        onInput=${(event) => setText(event.target.value)} onKeyDown=${onKeyDown}></textarea>
      <button class="button primary" disabled=${busy} aria-label=${t("send")}><${Icon} name="send" /></button>
    </form>
  `;
}

// Not crypto.randomUUID: on plain http other than localhost browsers do not have it.
const newKey = () =>
  `painel-${[...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
