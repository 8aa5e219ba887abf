// Line plots of the last minutes, as SVG. What they show is also in text beside them.

import { html } from "./preact-htm.js";
import { number, t } from "./i18n.js";
import { Card } from "./ui.js";

const WIDTH = 320;
const HEIGHT = 96;
const KEPT = 300_000; // milliseconds that are drawn
const APART = 1500; // least milliseconds between samples: events make polls more frequent
const RATE_WINDOW = 20_000;

function niceCeiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value * 1.05) ?? value * 2;
}

// `times` are those of `points`; the last one is at the right edge. A gap where a value is null.
function line(times, points, top) {
  const end = times.at(-1);
  let path = "";
  let drawing = false;
  points.forEach((value, index) => {
    if (value === null || value === undefined) {
      drawing = false;
      return;
    }
    const x = WIDTH - ((end - times[index]) * WIDTH) / KEPT;
    const y = HEIGHT - (Math.min(value, top) / top) * (HEIGHT - 6) - 1;
    path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return path;
}

// series: [{name, points}], the first drawn with its area.
export function Plot({ title, unit, times, series }) {
  const top = niceCeiling(Math.max(0, ...series.flatMap((one) => one.points).filter((v) => v != null)));
  const latest = (one) => one.points.findLast((value) => value != null);
  const readings = series.map((one) => {
    const value = latest(one);
    return { ...one, text: value === undefined ? "–" : number(value, value < 10 ? 1 : 0) };
  });
  const first = line(times, series[0].points, top);
  const start = /^M([\d.]+)/.exec(first)?.[1];
  const label = `${title}: ${readings.map((one) => `${one.name ?? ""} ${one.text} ${unit}`).join(", ")}`;
  return html`
    <${Card} title=${title} className="plot-card">
      <div class="readings">
        ${readings.map(
          (one, index) => html`
            <span class=${`reading s${index}`}>
              <strong>${one.text}</strong> ${unit}${one.name && html` <span class="soft">${one.name}</span>`}
            </span>
          `,
        )}
      </div>
      <svg class="plot" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
        <line class="grid" x1="0" x2=${WIDTH} y1="5" y2="5" />
        <line class="grid" x1="0" x2=${WIDTH} y1="50" y2="50" />
        <line class="axis" x1="0" x2=${WIDTH} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
        ${start && html`<path class="area" d=${`${first}L${WIDTH} ${HEIGHT}L${start} ${HEIGHT}Z`} />`}
        ${series.map((one, index) => html`<path class=${`line s${index}`} d=${line(times, one.points, top)} />`)}
      </svg>
      <p class="plot-foot"><span>−5 min</span><span>${t("max")} ${number(top)} ${unit}</span></p>
    <//>
  `;
}

function sample(stats) {
  const total = (name) => stats.connections.reduce((sum, one) => sum + (one[name] ?? 0), 0);
  return {
    at: Date.now(),
    pending: stats.queue?.pending ?? null,
    drain: stats.queue?.drainRate ?? null,
    p50: stats.supabaseConnected ? stats.supabase.p50Ms : null,
    p95: stats.supabaseConnected ? stats.supabase.p95Ms : null,
    received: total("received"),
    sent: total("sent"),
  };
}

// With one more sample, and without those too old to be drawn.
export function withSample(samples, stats) {
  const next = sample(stats);
  if (samples.length > 0 && next.at - samples.at(-1).at < APART) return samples;
  return [...samples.filter((one) => next.at - one.at < KEPT), next];
}

// Per minute, over the last seconds before each sample; counters begin anew after a restart.
export function rates(samples, name) {
  return samples.map((now, index) => {
    let from = index;
    while (from > 0 && now.at - samples[from].at < RATE_WINDOW) from -= 1;
    const elapsed = now.at - samples[from].at;
    return elapsed < 1000 ? 0 : (Math.max(0, now[name] - samples[from][name]) * 60_000) / elapsed;
  });
}
