// Pairing a number, by a QR code that renews itself or by a code to type in.

import { html, useEffect, useState } from "./preact-htm.js";
import { api } from "./api.js";
import { number, t } from "./i18n.js";
import { Dialog, Field, Icon, usePolling } from "./ui.js";

const POLL = 1000;

export function Pairing({ connectionId, onClose }) {
  const [qr, setQr] = useState(null);
  const [byCode, setByCode] = useState(false);
  usePolling(
    async (isOver) => {
      try {
        const now = await api.qr(connectionId);
        if (!isOver()) setQr(now);
      } catch {
        if (!isOver()) setQr(null); // none now; the next one comes
      }
    },
    POLL,
    [connectionId],
  );
  const title = `${t("pairing")} ${connectionId}`;
  if (qr?.isConnected) {
    return html`
      <${Dialog} title=${title} onClose=${onClose}>
        <p class="paired" role="status"><span class="tick"><${Icon} name="check" /></span>${t("paired")}</p>
      <//>
    `;
  }
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <div class="segments" role="group" aria-label=${t("pairing")}>
        <button aria-pressed=${String(!byCode)} onClick=${() => setByCode(false)}>${t("byQr")}</button>
        <button aria-pressed=${String(byCode)} onClick=${() => setByCode(true)}>${t("byCode")}</button>
      </div>
      ${byCode ? html`<${ByCode} connectionId=${connectionId} />` : html`<${ByQr} qr=${qr} />`}
    <//>
  `;
}

function ByQr({ qr }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = qr?.expiresAt ? Math.max(0, (new Date(qr.expiresAt).getTime() - now) / 1000) : null;
  return html`
    <p>${t("qrSteps")}</p>
    <div class="qr">
      ${qr?.qrCodePng
        ? html`<img src=${qr.qrCodePng} alt=${t("qrAlt")} width="264" height="264" />`
        : html`<p class="soft">${qr?.reason ?? t("qrWaiting")}</p>`}
    </div>
    <p class="soft center">${qr && left !== null ? `${t("expires")} ${number(left)} s` : "\u00a0"}</p>
  `;
}

function ByCode({ connectionId }) {
  const [code, setCode] = useState(null);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      const answer = await api.pairingCode(connectionId, new FormData(event.target).get("phone"));
      setCode(answer.pairingCode);
    } catch (error) {
      setProblem(error.message || t("unreachable"));
    }
  };
  return html`
    <form onSubmit=${submit}>
      <${Field} id="pair-phone" name="phone" type="tel" label=${t("phone")} hint=${t("phoneHint")} required />
      ${problem && html`<p class="banner bad" role="alert">${problem}</p>`}
      <div class="row end"><button class="button primary">${t("getCode")}</button></div>
    </form>
    ${code && html`<p>${t("codeSteps")}</p><p class="code" role="status">${code.slice(0, 4)}-${code.slice(4)}</p>`}
  `;
}
