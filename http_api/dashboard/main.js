// The frame: who is signed in, what is polled, which view is shown.

import { html, render, useCallback, useEffect, useState } from "./preact-htm.js";
import { api, follow, session } from "./api.js";
import { EVENTS, language, locale, setLanguage, t } from "./i18n.js";
import { Icon, usePolling, useNotice } from "./ui.js";
import { withSample } from "./plots.js";
import { SignIn } from "./signin.js";
import { Overview } from "./overview.js";
import { Conversations } from "./conversations.js";
import { Supervision, parkedNodes } from "./supervision.js";
import { Rejected } from "./rejected.js";

const POLL = 2000;
const EVENTS_KEPT = 200;
const THEME = "zapvisor.theme";
const VIEWS = ["overview", "conversations", "supervision", "rejected"];
const FOR_ADMINS = new Set(["supervision", "rejected"]);

const viewOfHash = () => {
  const wanted = location.hash.replace("#/", "");
  return VIEWS.includes(wanted) ? wanted : "overview";
};

function applyTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

const isForbidden = (error) => error.status === 403;

// Everything about the system, as fresh as the last poll.
function useSystem() {
  const [state, setState] = useState({ stats: null, connections: null, samples: [], problem: null });
  const [events, setEvents] = useState([]);
  const [live, setLive] = useState(null);
  const poll = useCallback(async (isOver = () => false) => {
    const ask = (call) => call().catch((error) => (isForbidden(error) ? undefined : Promise.reject(error)));
    try {
      const [stats, connections] = await Promise.all([
        ask(api.stats),
        ask(api.connections).catch((error) => (error.status === 503 ? null : Promise.reject(error))),
      ]);
      if (isOver()) return;
      setState((before) => ({
        stats: stats ?? null,
        restricted: stats === undefined,
        connections: connections ?? before.connections ?? [],
        samples: stats ? withSample(before.samples, stats) : before.samples,
        problem: null,
      }));
    } catch (error) {
      if (!isOver()) setState((before) => ({ ...before, problem: error.status ? error.message : t("unreachable") }));
    }
  }, []);
  usePolling(poll, POLL, []);
  useEffect(() => {
    const stop = new AbortController();
    let refresh = 0;
    follow(
      EVENTS,
      (event) => {
        setEvents((before) => [event, ...before].slice(0, EVENTS_KEPT));
        clearTimeout(refresh);
        refresh = setTimeout(() => void poll(), 150);
      },
      setLive,
      stop.signal,
    ).catch(() => setLive(false));
    return () => {
      clearTimeout(refresh);
      stop.abort();
    };
  }, []);
  return { ...state, events, live, refresh: poll };
}

function health(system) {
  if (system.problem !== null) return ["bad", t("unreachable")];
  const { stats, connections } = system;
  if (connections === null) return ["quiet", t("loading")];
  if (stats && !stats.isInitialized) return ["bad", t("stopped")];
  const trouble =
    connections.some((one) => one.statusCode) ||
    (stats && (!stats.supabaseConnected || stats.queue?.deadLetters > 0 || parkedNodes(stats.tree).length > 0));
  return trouble ? ["warn", t("attention")] : ["good", t("allWell")];
}

function Shell({ onSignOut, preferences }) {
  const system = useSystem();
  const [view, setView] = useState(viewOfHash());
  const [notice, tell] = useNotice();
  useEffect(() => {
    const changed = () => setView(viewOfHash());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  useEffect(() => {
    document.title = `${t(view)} · zapvisor`;
  });

  // Runs what a button asks for, says how it went, and shows the change at once.
  const act = async (work, done) => {
    try {
      const result = await work();
      if (done) tell(done);
      return result;
    } catch (error) {
      tell(isForbidden(error) ? t("forbidden") : error.message || t("unreachable"), true);
      return undefined;
    } finally {
      void system.refresh();
    }
  };
  const [tone, word] = health(system);
  const badges = {
    rejected: system.stats?.queue?.deadLetters || 0,
    supervision: system.stats ? parkedNodes(system.stats.tree).length : 0,
  };
  const props = { system, act };
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    }}>${t("skip")}</a>
    <header class="top">
      <p class="brand"><img src="/dashboard/icon.svg" alt="" width="28" height="28" />zapvisor</p>
      <p class=${`health ${tone}`} role="status"><span class="dot"></span>${word}</p>
      <div class="top-end">
        <span class="soft wide-only" data-live=${String(system.live === true)}>
          ${system.live ? t("live") : t("polled")}
        </span>
        <${Preferences} ...${preferences} />
        <button class="icon-button" aria-label=${t("signOut")} title=${t("signOut")} onClick=${onSignOut}>
          <${Icon} name="out" />
        </button>
      </div>
    </header>
    <nav class="tabs" aria-label="zapvisor">
      ${VIEWS.filter((name) => !(system.restricted && FOR_ADMINS.has(name))).map(
        (name) => html`
          <a href=${`#/${name}`} aria-current=${name === view ? "page" : undefined}>
            <${Icon} name=${name} /><span>${t(name)}</span>
            ${badges[name] > 0 && html`<span class="badge">${badges[name]}</span>`}
          </a>
        `,
      )}
    </nav>
    <main id="main" tabindex="-1" class=${view}>
      <h1 class="hidden">${t(view)}</h1>
      ${system.problem !== null &&
      html`<p class="banner bad" role="alert">${system.problem} ${t("retrying")}</p>`}
      ${view === "overview" && html`<${Overview} ...${props} />`}
      ${view === "conversations" && html`<${Conversations} ...${props} />`}
      ${view === "supervision" && html`<${Supervision} ...${props} />`}
      ${view === "rejected" && html`<${Rejected} ...${props} />`}
    </main>
    <div class="notices" aria-live="polite">
      ${notice && html`<p class=${`notice ${notice.bad ? "bad" : ""}`}>${notice.text}</p>`}
    </div>
  `;
}

const Preferences = ({ theme, setTheme, tongue, setTongue }) => html`
  <label class="select"><span class="hidden">${t("theme")}</span>
    <select value=${theme} onChange=${(event) => setTheme(event.target.value)}>
      ${["auto", "light", "dark"].map((name) => html`<option value=${name}>${t(name)}</option>`)}
    </select>
  </label>
  <label class="select"><span class="hidden">${t("language")}</span>
    <select value=${tongue} onChange=${(event) => setTongue(event.target.value)}>
      <option value="pt">PT</option><option value="en">EN</option>
    </select>
  </label>
`;

function App() {
  const [signedIn, setSignedIn] = useState(session.key !== null);
  const [ended, setEnded] = useState(false);
  const [theme, setTheme] = useState(localStorage.getItem(THEME) ?? "auto");
  const [tongue, setTongue] = useState(language());
  useEffect(() => {
    session.whenRefused(() => {
      session.close();
      setEnded(true);
      setSignedIn(false);
    });
  }, []);
  const preferences = {
    theme,
    setTheme(wanted) {
      localStorage.setItem(THEME, wanted);
      applyTheme(wanted);
      setTheme(wanted);
    },
    tongue,
    setTongue(wanted) {
      setLanguage(wanted);
      setTongue(wanted);
    },
  };
  if (!signedIn) {
    const opened = () => {
      setEnded(false);
      setSignedIn(true);
    };
    return html`<${SignIn} ended=${ended} onOpen=${opened}><${Preferences} ...${preferences} /><//>`;
  }
  const signOut = () => {
    session.close();
    setSignedIn(false);
  };
  return html`<${Shell} onSignOut=${signOut} preferences=${preferences} />`;
}

applyTheme(localStorage.getItem(THEME) ?? "auto");
document.documentElement.lang = locale();
render(html`<${App} />`, document.getElementById("app"));
