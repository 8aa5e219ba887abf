// What an operator wants at a glance.

import { html } from "./preact-htm.js";
import { ago, duration, number, percent, phone, t } from "./i18n.js";
import { Card, Empty, stateOf } from "./ui.js";
import { Plot, rates } from "./plots.js";
import { Connections } from "./connections.js";

export function Overview({ system, act }) {
  const { stats, connections, samples } = system;
  if (connections === null) return html`<${Empty} title=${t("loading")} />`;
  return html`
    ${stats && html`<${Tiles} stats=${stats} />`}
    <${Connections} connections=${connections} counters=${stats?.connections} act=${act} />
    ${stats && html`<${Plots} samples=${samples} />`}
    <${Events} system=${system} />
  `;
}

const Tile = ({ name, value, detail, tone = "" }) => html`
  <div class=${`tile ${tone}`}>
    <dt>${tone && html`<span class=${`dot ${tone}`}></span>`}${name}</dt>
    <dd><strong>${value}</strong>${detail && html`<span>${detail}</span>`}</dd>
  </div>
`;

function Tiles({ stats }) {
  const queue = stats.queue;
  const connected = stats.connections.filter((one) => one.status === "connected").length;
  const all = stats.connections.length;
  const oldest = queue?.oldestPendingSeconds;
  return html`
    <dl class="tiles">
      <${Tile}
        name=${t("connectedTile")} value=${number(connected)} detail=${`${t("of")} ${number(all)}`}
        tone=${connected < all ? "warn" : all > 0 ? "good" : ""}
      />
      <${Tile}
        name=${t("supabaseTile")} value=${stats.supabaseConnected ? t("answers") : t("down")}
        detail=${stats.supabaseConnected && stats.supabase.p50Ms != null && `${t("median")} ${number(stats.supabase.p50Ms, 1)} ms`}
        tone=${stats.supabaseConnected ? "good" : "bad"}
      />
      <${Tile}
        name=${t("pendingTile")} value=${queue ? number(queue.pending) : "–"}
        detail=${queue?.pending ? oldest != null && `${t("oldest")} ${duration(oldest)}` : queue && t("nothingWaits")}
        tone=${oldest > 30 ? "warn" : ""}
      />
      <${Tile}
        name=${t("rejectedTile")} value=${queue ? number(queue.deadLetters) : "–"}
        detail=${queue && (queue.deadLetters > 0 ? t("decide") : t("noneRejected"))}
        tone=${queue?.deadLetters > 0 ? "bad" : ""}
      />
      <${Tile}
        name=${t("deliveredTile")}
        value=${stats.sendSuccessRate === null ? "–" : percent(stats.sendSuccessRate)}
        detail=${stats.sendSuccessRate === null ? t("noSends") : t("ofSends")}
        tone=${stats.sendSuccessRate !== null && stats.sendSuccessRate < 0.98 ? "warn" : ""}
      />
    </dl>
  `;
}

function Plots({ samples }) {
  const of = (name) => samples.map((one) => one[name]);
  const times = of("at");
  return html`
    <div class="plots">
      <${Plot}
        title=${`${t("messagesPlot")} ${t("perMinute")}`} unit="" times=${times}
        series=${[
          { name: t("entrada"), points: rates(samples, "received") },
          { name: t("saida"), points: rates(samples, "sent") },
        ]}
      />
      <${Plot} title=${t("queuePlot")} unit="" times=${times} series=${[{ points: of("pending") }]} />
      <${Plot} title=${t("drainPlot")} unit=${t("perSecond")} times=${times} series=${[{ points: of("drain") }]} />
      <${Plot}
        title=${t("responsePlot")} unit="ms" times=${times}
        series=${[
          { name: "p50", points: of("p50") },
          { name: "p95", points: of("p95") },
        ]}
      />
    </div>
  `;
}

const BAD = new Set(["connectionFailed", "connectionWarning", "supabaseOffline", "deadLetter"]);
const MILD = new Set(["disconnected", "childRestarted", "qrCode"]);

function describe(event, connections) {
  const name = connections.find((one) => one.id === event.connectionId)?.name ?? event.connectionId;
  const what = t(event.event, "ev");
  const data = event.data ?? {};
  const person = (jid) => phone(String(jid ?? "").split("@")[0]);
  const detail = {
    childRestarted: () => data.path,
    messageReceived: () => `${t("from")} ${data.name ?? person(data.from)}`,
    messageSent: () => data.to && `${t("to")} ${person(data.to)}`,
    messageStatus: () => stateOf(data.status),
    connectionFailed: () => data.reason,
    connectionWarning: () => data.reason,
    disconnected: () => data.reason,
    deadLetter: () => data.reason,
    supabaseOffline: () => data.reason,
    connected: () => phone(data.phoneNumber),
  }[event.event]?.();
  return { title: name ? `${name} ${what.charAt(0).toLowerCase()}${what.slice(1)}` : what, detail };
}

// The same again and again is one line that says how often.
function folded(events, connections) {
  const lines = [];
  for (const event of events) {
    const line = { event, ...describe(event, connections), times: 1 };
    const above = lines.at(-1);
    if (above && above.title === line.title && above.detail === line.detail) above.times += 1;
    else lines.push(line);
  }
  return lines;
}

function Events({ system }) {
  const { events, connections, live } = system;
  return html`
    <${Card} title=${t("events")} className="events-card">
      ${events.length === 0
        ? html`<${Empty} title=${live === null ? t("eventsOff") : t("noEvents")} />`
        : html`
            <ol class="events" tabindex="0" aria-label=${t("events")}>
              ${folded(events, connections).map(({ event, title, detail, times }) => {
                const tone = BAD.has(event.event) ? "bad" : MILD.has(event.event) ? "warn" : "good";
                return html`
                  <li key=${event.id}>
                    <span class=${`dot ${tone}`}></span>
                    <span class="event-text">
                      ${title}${detail && html` <span class="soft">${detail}</span>`}
                      ${times > 1 && html` <span class="times">×${number(times)}</span>`}
                    </span>
                    <time class="soft" datetime=${event.timestamp}>${ago(event.timestamp)}</time>
                  </li>
                `;
              })}
            </ol>
          `}
    <//>
  `;
}
