// The file of a message. It is fetched with the key, so that no address of it works without one.

import { html, useEffect, useState } from "./preact-htm.js";
import { api } from "./api.js";
import { t } from "./i18n.js";

const AT_ONCE = 5 * 1024 * 1024; // bytes: larger pictures are shown when asked for
const AGAIN = 3000; // a file that has not arrived yet is asked for again

function useFile(id, wanted) {
  const [state, setState] = useState({ url: null, problem: null });
  useEffect(() => {
    if (!wanted) return undefined;
    let over = false;
    let url = null;
    let timer = 0;
    const load = async () => {
      try {
        const blob = await api.media(id);
        if (over) return;
        url = URL.createObjectURL(blob);
        setState({ url, problem: null });
      } catch (error) {
        if (over) return;
        setState({ url: null, problem: error.message || t("unreachable") });
        if (error.code === "media_pending") timer = setTimeout(load, AGAIN);
      }
    };
    void load();
    return () => {
      over = true;
      clearTimeout(timer);
      if (url !== null) URL.revokeObjectURL(url);
    };
  }, [id, wanted]);
  return state;
}

export function Media({ row }) {
  const picture = row.tipo === "IMAGEM" || row.tipo === "STICKER";
  const [wanted, setWanted] = useState(picture && (row.midia_tamanho ?? 0) <= AT_ONCE);
  const { url, problem } = useFile(row.id, wanted);
  const name = row.midia_nome || t(row.tipo, "kinds");
  if (url !== null && picture) return html`<img class="picture" src=${url} alt=${name} />`;
  if (url !== null && row.tipo === "AUDIO") return html`<audio controls src=${url} aria-label=${name}></audio>`;
  if (url !== null) return html`<a class="bubble-file" href=${url} download=${name}>${t("save")} ${name}</a>`;
  if (problem !== null) return html`<span class="bubble-file">${name}: ${problem}</span>`;
  if (wanted) return html`<span class="bubble-file">${t("loading")}</span>`;
  return html`<button class="button small" onClick=${() => setWanted(true)}>${t("show")} ${name}</button>`;
}
