// Asking for the API key.

import { html, useState } from "./preact-htm.js";
import { api, session } from "./api.js";
import { t } from "./i18n.js";
import { Field } from "./ui.js";

export function SignIn({ ended, onOpen, children }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const key = new FormData(event.target).get("key").trim();
    if (key === "") return;
    setBusy(true);
    setProblem(null);
    try {
      await api.check(key);
    } catch (error) {
      // A 503 or a 403 is said only to a key that is valid; a TypeError, of a key no header can hold.
      if (error.status === 401 || error.status === undefined) {
        setProblem(error.status === 401 || !/^[\x20-\x7e]+$/.test(key) ? t("keyRefused") : t("unreachable"));
        setBusy(false);
        return;
      }
    }
    session.open(key);
    onOpen();
  };
  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit}>
        <img src="/dashboard/icon.svg" alt="" width="56" height="56" />
        <h1>zapvisor</h1>
        <p class="soft">${t("tagline")}</p>
        ${ended && html`<p class="banner warn" role="alert">${t("keyEnded")}</p>`}
        <${Field}
          id="key" name="key" type="password" label=${t("apiKey")} hint=${t("keyHint")}
          required autocomplete="off" spellcheck="false" autofocus
        />
        ${problem && html`<p class="banner bad" role="alert">${problem}</p>`}
        <button class="button primary" disabled=${busy}>${t("signIn")}</button>
        <div class="row center">${children}</div>
      </form>
    </main>
  `;
}
