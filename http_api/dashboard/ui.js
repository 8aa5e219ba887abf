// Small pieces that every view uses.

import { html, useCallback, useEffect, useRef, useState } from "./preact-htm.js";
import { t } from "./i18n.js";

const ICONS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  conversations: "M4 5h16v11H9l-5 4z",
  supervision: "M12 4v5M12 9l-6 6M12 9l6 6M10 3h4v3h-4zM4 15h4v4H4zM16 15h4v4h-4z",
  rejected: "M12 3 2.5 20h19zM12 10v4M12 17v.2",
  plus: "M12 5v14M5 12h14",
  more: "M6 12h.1M12 12h.1M18 12h.1",
  back: "M15 5l-7 7 7 7",
  send: "M4 12l16-8-6 16-3-6z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  out: "M14 4h5v16h-5M4 12h10M10 8l4 4-4 4",
};

export const Icon = ({ name }) =>
  html`<svg class=${`icon ${name}`} viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;

export const Pill = ({ tone, children }) => html`<span class=${`pill ${tone}`}>${children}</span>`;

export const Card = ({ title, extra, children, className = "" }) => html`
  <section class=${`card ${className}`} aria-label=${title}>
    <header class="card-head"><h2>${title}</h2>${extra}</header>
    ${children}
  </section>
`;

export const Empty = ({ title, hint }) => html`
  <div class="empty"><p>${title}</p>${hint && html`<p class="soft">${hint}</p>`}</div>
`;

// The state of a message that we sent, in words.
export const stateOf = (status) =>
  ({ sent: t("sentState"), failed: t("failedState") })[status] ?? t(status ?? "");

// A modal dialog: focus stays inside, Escape closes it, focus returns to where it was.
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useEffect(() => {
    element.current.showModal();
  }, []);
  return html`
    <dialog ref=${element} aria-labelledby="dialog-title" onClose=${onClose}>
      <header class="dialog-head">
        <h2 id="dialog-title">${title}</h2>
        <button class="icon-button" aria-label=${t("close")} onClick=${() => element.current.close()}>
          <${Icon} name="close" />
        </button>
      </header>
      ${children}
    </dialog>
  `;
}

export function Confirm({ question, onConfirm, onClose }) {
  return html`
    <${Dialog} title=${t("confirm")} onClose=${onClose}>
      <p>${question}</p>
      <div class="row end">
        <button class="button" onClick=${onClose}>${t("cancel")}</button>
        <button class="button danger" onClick=${onConfirm}>${t("confirm")}</button>
      </div>
    <//>
  `;
}

export const Field = ({ id, label, hint, ...input }) => html`
  <div class="field">
    <label for=${id}>${label}</label>
    <input id=${id} aria-describedby=${hint && `${id}-hint`} ...${input} />
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>
`;

// What an action said, for a few seconds; read out by screen readers.
export function useNotice() {
  const [notice, setNotice] = useState(null);
  const timer = useRef(0);
  const tell = useCallback((text, bad = false) => {
    clearTimeout(timer.current);
    setNotice({ text, bad });
    timer.current = setTimeout(() => setNotice(null), bad ? 9000 : 4000);
  }, []);
  return [notice, tell];
}

// Calls `work` now and again `pause` ms after each end, while the page is looked at.
export function usePolling(work, pause, dependencies) {
  useEffect(() => {
    let timer = 0;
    let over = false;
    const turn = async () => {
      if (!document.hidden) await work(() => over);
      if (!over) timer = setTimeout(turn, pause);
    };
    const looked = () => {
      if (document.hidden || over) return;
      clearTimeout(timer);
      void turn();
    };
    document.addEventListener("visibilitychange", looked);
    void turn();
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", looked);
    };
  }, dependencies);
}
