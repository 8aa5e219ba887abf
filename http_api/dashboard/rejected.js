// What Supabase refused for good, for a person to decide.

import { html, useState } from "./preact-htm.js";
import { api } from "./api.js";
import { ago, t } from "./i18n.js";
import { Card, Empty, Pill, usePolling } from "./ui.js";

const POLL = 5000;

export function Rejected({ system, act }) {
  const [letters, setLetters] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = async (isOver = () => false) => {
    try {
      const found = await api.deadLetters();
      if (isOver()) return;
      setLetters(found);
      setProblem(null);
    } catch (error) {
      if (!isOver()) setProblem(error.status === 403 ? t("forbidden") : error.message);
    }
  };
  // At once when their number changes, and now and then in any case.
  usePolling(load, POLL, [system.stats?.queue?.deadLetters]);
  const retry = async (seq) => {
    await act(() => api.retry(seq), t("retried"));
    await load();
  };
  return html`
    <${Card} title=${t("rejected")}>
      ${problem && html`<p class="banner bad" role="alert">${problem}</p>`}
      ${letters === null
        ? !problem && html`<${Empty} title=${t("loading")} />`
        : letters.length === 0
          ? html`<${Empty} title=${t("noRejected")} hint=${t("noRejectedHint")} />`
          : html`<ul class="letters">
              ${letters.map((letter) => html`<${Letter} key=${letter.seq} letter=${letter} onRetry=${retry} />`)}
            </ul>`}
    <//>
  `;
}

const Letter = ({ letter, onRetry }) => html`
  <li class="letter" data-seq=${letter.seq}>
    <div class="letter-main">
      <p><strong>${letter.reason}</strong></p>
      <p class="soft">
        <${Pill} tone="quiet">${letter.kind}<//> <code>${letter.code}</code> · nº ${letter.seq} ·
        ${" "}${t("rejectedAt")} <time datetime=${letter.diedAt}>${ago(letter.diedAt)}</time>
      </p>
      <details>
        <summary>${t("content")}</summary>
        <pre tabindex="0">${JSON.stringify(letter.payload, null, 2)}</pre>
      </details>
    </div>
    <button class="button" onClick=${() => onRetry(letter.seq)}>
      ${t("retry")}<span class="hidden"> nº ${letter.seq}</span>
    </button>
  </li>
`;
