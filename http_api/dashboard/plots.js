// Line plots of the last minutes, as SVG with axes. What they show is also in text beside them.

import { html } from "./preact-htm.js";
import { compact, number, t } from "./i18n.js";
import { Card } from "./ui.js";

const WIDTH = 320;
const HEIGHT = 96;
const KEPT = 300_000; // milliseconds that are drawn at most
const SPANS = [60_000, 120_000, KEPT]; // what the time axis shows: no more than there is to show
const LEAST_TOP = 4; // so that one message does not fill a plot
const APART = 1500; // least milliseconds between samples: events make polls more frequent
const RATE_WINDOW = 20_000;

// The upper end of the axis, so that its half is a round number too.
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, LEAST_TOP)));
  return [1, 2, 4, 6, 8, 10, 20].map((step) => step * power).find((top) => top >= Math.max(value, LEAST_TOP));
}

// `times` are those of `points`; the last one is at the right edge. A gap where a value is null.
function line(times, points, top, span) {
  const end = times.at(-1);
  let path = "";
  let drawing = false;
  points.forEach((value, index) => {
    if (value === null || value === undefined || end - times[index] > span) {
      drawing = false;
      return;
    }
    const x = WIDTH - ((end - times[index]) * WIDTH) / span;
    const y = HEIGHT - (value / top) * HEIGHT;
    path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return path;
}

// series: [{name, points}], the first drawn with its area.
export function Plot({ title, unit, times, series }) {
  const top = niceCeiling(Math.max(0, ...series.flatMap((one) => one.points).filter((v) => v != null)));
  const span = SPANS.find((one) => one >= (times.at(-1) ?? 0) - (times[0] ?? 0)) ?? KEPT;
  const latest = (one) => one.points.findLast((value) => value != null);
  const readings = series.map((one) => {
    const value = latest(one);
    return { ...one, text: value === undefined ? "–" : number(value, value < 10 ? 1 : 0) };
  });
  const first = line(times, series[0].points, top, span);
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
      <div class="plot-frame">
        <div class="plot-scale" aria-hidden="true">
          ${[top, top / 2, 0].map((value) => html`<span>${compact(value)}</span>`)}
        </div>
        <svg class="plot" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
          ${[0, 0.25, 0.5, 0.75].map(
            (part) => html`<line class="grid" x1="0" x2=${WIDTH} y1=${part * HEIGHT} y2=${part * HEIGHT} />`,
          )}
          <line class="axis" x1="0" x2=${WIDTH} y1=${HEIGHT} y2=${HEIGHT} />
          <line class="axis" x1="0" x2="0" y1="0" y2=${HEIGHT} />
          ${start && html`<path class="area" d=${`${first}L${WIDTH} ${HEIGHT}L${start} ${HEIGHT}Z`} />`}
          ${series.map((one, index) => html`<path class=${`line s${index}`} d=${line(times, one.points, top, span)} />`)}
        </svg>
        <p class="plot-times" aria-hidden="true"><span>−${span / 60_000} min</span><span>${t("now")}</span></p>
      </div>
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
