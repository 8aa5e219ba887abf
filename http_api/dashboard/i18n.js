// Portuguese first, English by choice; numbers, times and phone numbers as people write them.

const LANGUAGE = "zapvisor.language";

const TEXTS = {
  pt: {
    overview: "Visão geral", conversations: "Conversas", supervision: "Supervisão", rejected: "Rejeitadas",
    signIn: "Entrar", signOut: "Sair", apiKey: "Chave de API", keyHint: "O zapvisor mostra a chave uma vez, na primeira execução. Ela fica só nesta aba, até você sair.",
    keyRefused: "Esta chave não é válida.", keyEnded: "A chave deixou de ser aceita. Entre de novo.", tagline: "Conversas do WhatsApp no Supabase, sem perder nenhuma.",
    unreachable: "O zapvisor não responde.", retrying: "Tentando de novo…", loading: "Carregando…",
    allWell: "Tudo funcionando", attention: "Precisa de atenção", stopped: "Parado",
    live: "Ao vivo", polled: "A cada 2 s", theme: "Tema", auto: "Automático", light: "Claro", dark: "Escuro", language: "Idioma", skip: "Ir para o conteúdo",
    connectedTile: "Conectadas", pendingTile: "Na fila", rejectedTile: "Rejeitadas", supabaseTile: "Supabase", deliveredTile: "Envios aceitos",
    of: "de", nothingWaits: "nada espera", answers: "responde", down: "fora do ar", noSends: "nenhum envio ainda", ofSends: "dos envios com desfecho", median: "mediana", noneRejected: "nenhuma mensagem", decide: "à sua espera", oldest: "a mais antiga:",
    connections: "Conexões", newConnection: "Nova conexão", noConnections: "Nenhum número conectado ainda.", noConnectionsHint: "Crie uma conexão e leia o QR code com o celular.",
    connected: "Conectada", connecting: "Conectando", disconnected: "Desconectada", error: "Parada", waitingQr: "Aguardando leitura",
    received: "recebidas", sent: "enviadas", restart: "Reiniciar", pair: "Parear", logout: "Sair do WhatsApp", remove: "Excluir", actions: "Mais ações de",
    confirmLogout: "Sair do WhatsApp nesta conexão? Será preciso ler um novo QR code.", confirmRemove: "Excluir esta conexão? As mensagens guardadas ficam.", cancel: "Cancelar", close: "Fechar", confirm: "Confirmar",
    name: "Nome", nameHint: "Como a equipe chama este número.", identifier: "Identificador", identifierHint: "Letras sem acento, números, hífens e sublinhados.", owner: "Dono (ownerId)", ownerHint: "O id do usuário no Supabase. No Supabase local: zapvisor owner você@exemplo.com", create: "Criar e parear",
    pairing: "Parear", byQr: "QR code", byCode: "Código", qrSteps: "No celular: WhatsApp › Aparelhos conectados › Conectar um aparelho. Aponte a câmera para cá.", qrWaiting: "Esperando um QR code do WhatsApp…", expires: "renova em", qrAlt: "QR code para parear com o WhatsApp",
    phone: "Número do celular", phoneHint: "Com DDD; por exemplo (11) 98765-4321.", getCode: "Gerar código", codeSteps: "No celular: WhatsApp › Aparelhos conectados › Conectar com número de telefone. Digite:", paired: "Conectado! Pode fechar esta janela.",
    queuePlot: "Mensagens na fila", drainPlot: "Gravação no Supabase", responsePlot: "Resposta do Supabase", messagesPlot: "Mensagens", perSecond: "linhas/s", perMinute: "por minuto", entrada: "recebidas", saida: "enviadas",
    events: "Acontecimentos", noEvents: "Nada aconteceu ainda.", eventsOff: "Os acontecimentos não estão disponíveis para esta chave.",
    tree: "Árvore de supervisão", treeHint: "Uma parte que falha é reiniciada sozinha. Uma parte parada espera por você.", unpark: "Liberar", restarts: "reinícios", restart1: "reinício",
    running: "em execução", starting: "iniciando", draining: "terminando o que tem em mãos", stopping: "parando", backoff: "esperando para tentar", parked: "parada", done: "concluída", stoppedState: "parada em ordem", waiting: "esperando a vez", abandoned: "abandonada",
    search: "Buscar por nome ou número", noConversations: "Nenhuma conversa.", choose: "Escolha uma conversa para ler e responder.", back: "Voltar", write: "Escreva uma resposta", send: "Enviar", noConnection: "Esta conversa não tem uma conexão para responder.", robot: "Robô", emptyChat: "Sem mensagens.", today: "hoje",
    AGUARDANDO: "Aguardando", EM_ATENDIMENTO: "Em atendimento", FINALIZADO: "Finalizado", CANCELADO: "Cancelado",
    queued: "na fila", delivered: "entregue", read: "lida", played: "ouvida", sentState: "enviada", failedState: "não enviada", unknown: "desfecho desconhecido",
    noRejected: "Nenhuma mensagem rejeitada.", noRejectedHint: "O que o Supabase recusa de vez aparece aqui, com o motivo.", retry: "Tentar de novo", retried: "A mensagem voltou para a fila.", content: "Ver a mensagem", rejectedAt: "rejeitada",
    done_unpark: "Liberada.", done_restart: "Conexão reiniciada.", done_logout: "Desconectada do WhatsApp.", done_remove: "Conexão excluída.", forbidden: "Esta chave não dá acesso a isto.",
    kinds: { IMAGEM: "imagem", VIDEO: "vídeo", AUDIO: "áudio", DOCUMENTO: "documento", STICKER: "figurinha", TEXTO: "arquivo", SISTEMA: "arquivo" }, save: "Salvar", show: "Mostrar",
    now: "agora", parts: { local_stack: "Supabase local", events: "Eventos", journal: "Diário durável", storage: "Supabase", whatsapp: "WhatsApp", bridge: "Ponte Baileys", connections: "Conexões", probe: "Sonda", writer: "Gravador", robot: "Robô", janitor: "Limpeza", http: "API", core: "Núcleo", pulse: "Pulso", notifier: "Notificações", media: "Mídia", self_tests: "Autotestes" },
    ev: { connected: "conectou", disconnected: "desconectou", connectionFailed: "parou", connectionWarning: "avisa", qrCode: "mostra um QR code", messageReceived: "recebeu uma mensagem", messageSent: "enviou uma mensagem", messageStatus: "teve uma mensagem", supabaseOffline: "O Supabase saiu do ar", supabaseOnline: "O Supabase voltou", deadLetter: "Mensagem rejeitada", childRestarted: "Reiniciada" }, from: "de", to: "para",
  },
  en: {
    overview: "Overview", conversations: "Conversations", supervision: "Supervision", rejected: "Rejected",
    signIn: "Sign in", signOut: "Sign out", apiKey: "API key", keyHint: "zapvisor shows the key once, on its first run. It stays in this tab only, until you sign out.",
    keyRefused: "This key is not valid.", keyEnded: "The key is no longer accepted. Sign in again.", tagline: "WhatsApp conversations in Supabase, without losing one.",
    unreachable: "zapvisor does not answer.", retrying: "Trying again…", loading: "Loading…",
    allWell: "All is well", attention: "Needs attention", stopped: "Stopped",
    live: "Live", polled: "Every 2 s", theme: "Theme", auto: "Automatic", light: "Light", dark: "Dark", language: "Language", skip: "Skip to content",
    connectedTile: "Connected", pendingTile: "Queued", rejectedTile: "Rejected", supabaseTile: "Supabase", deliveredTile: "Sends accepted",
    of: "of", nothingWaits: "nothing waits", answers: "answers", down: "down", noSends: "nothing sent yet", ofSends: "of those with an outcome", median: "median", noneRejected: "no message", decide: "waiting for you", oldest: "the oldest:",
    connections: "Connections", newConnection: "New connection", noConnections: "No number is connected yet.", noConnectionsHint: "Create a connection and scan the QR code with the phone.",
    connected: "Connected", connecting: "Connecting", disconnected: "Disconnected", error: "Parked", waitingQr: "Waiting for a scan",
    received: "received", sent: "sent", restart: "Restart", pair: "Pair", logout: "Log out of WhatsApp", remove: "Delete", actions: "More actions for",
    confirmLogout: "Log this connection out of WhatsApp? It will need a new QR code.", confirmRemove: "Delete this connection? Stored messages stay.", cancel: "Cancel", close: "Close", confirm: "Confirm",
    name: "Name", nameHint: "What the team calls this number.", identifier: "Identifier", identifierHint: "Letters without accents, digits, hyphens, underscores.", owner: "Owner (ownerId)", ownerHint: "The user's id in Supabase. With the local Supabase: zapvisor owner you@example.com", create: "Create and pair",
    pairing: "Pair", byQr: "QR code", byCode: "Code", qrSteps: "On the phone: WhatsApp › Linked devices › Link a device. Point the camera here.", qrWaiting: "Waiting for a QR code from WhatsApp…", expires: "renewed in", qrAlt: "QR code to pair with WhatsApp",
    phone: "Phone number", phoneHint: "With area code; for example (11) 98765-4321.", getCode: "Get a code", codeSteps: "On the phone: WhatsApp › Linked devices › Link with phone number. Type:", paired: "Connected! You can close this window.",
    queuePlot: "Messages queued", drainPlot: "Written to Supabase", responsePlot: "Supabase response", messagesPlot: "Messages", perSecond: "rows/s", perMinute: "per minute", entrada: "received", saida: "sent",
    events: "Events", noEvents: "Nothing has happened yet.", eventsOff: "Events are not available to this key.",
    tree: "Supervision tree", treeHint: "A part that fails is restarted by itself. A parked part waits for you.", unpark: "Unpark", restarts: "restarts", restart1: "restart",
    running: "running", starting: "starting", draining: "finishing what is in hand", stopping: "stopping", backoff: "waiting to try again", parked: "parked", done: "done", stoppedState: "stopped in order", waiting: "waiting its turn", abandoned: "abandoned",
    search: "Search by name or number", noConversations: "No conversations.", choose: "Choose a conversation to read and answer.", back: "Back", write: "Write an answer", send: "Send", noConnection: "This conversation has no connection to answer with.", robot: "Robot", emptyChat: "No messages.", today: "today",
    AGUARDANDO: "Waiting", EM_ATENDIMENTO: "Attended", FINALIZADO: "Finished", CANCELADO: "Cancelled",
    queued: "queued", delivered: "delivered", read: "read", played: "played", sentState: "sent", failedState: "not sent", unknown: "outcome unknown",
    noRejected: "No rejected messages.", noRejectedHint: "What Supabase refuses for good appears here, with the reason.", retry: "Try again", retried: "The message is queued again.", content: "Show the message", rejectedAt: "rejected",
    done_unpark: "Unparked.", done_restart: "Connection restarted.", done_logout: "Logged out of WhatsApp.", done_remove: "Connection deleted.", forbidden: "This key gives no access to this.",
    kinds: { IMAGEM: "picture", VIDEO: "video", AUDIO: "audio", DOCUMENTO: "document", STICKER: "sticker", TEXTO: "file", SISTEMA: "file" }, save: "Save", show: "Show",
    now: "now", parts: { local_stack: "Local Supabase", events: "Events", journal: "Durable journal", storage: "Supabase", whatsapp: "WhatsApp", bridge: "Baileys bridge", connections: "Connections", probe: "Probe", writer: "Writer", robot: "Robot", janitor: "Janitor", http: "API", core: "Core", pulse: "Pulse", notifier: "Notifier", media: "Media", self_tests: "Self-tests" },
    ev: { connected: "connected", disconnected: "disconnected", connectionFailed: "parked", connectionWarning: "warns", qrCode: "shows a QR code", messageReceived: "received a message", messageSent: "sent a message", messageStatus: "had a message", supabaseOffline: "Supabase went down", supabaseOnline: "Supabase is back", deadLetter: "Message rejected", childRestarted: "Restarted" }, from: "from", to: "to",
  },
};

let current = localStorage.getItem(LANGUAGE) === "en" ? "en" : "pt";

// What the list of events tells of.
export const EVENTS = Object.keys(TEXTS.pt.ev);

export const language = () => current;
export const locale = () => (current === "pt" ? "pt-BR" : "en");

export function setLanguage(wanted) {
  current = wanted;
  localStorage.setItem(LANGUAGE, wanted);
  document.documentElement.lang = locale();
}

// The text under a key, or under `group.key` for the tables of names; the key itself if unknown.
export function t(key, group) {
  const texts = TEXTS[current];
  return (group === undefined ? texts[key] : texts[group][key]) ?? key;
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

// For axes: 1500 → "1,5 mil".
export const compact = (value) => new Intl.NumberFormat(locale(), { notation: "compact" }).format(value);

export const percent = (ratio) =>
  new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(ratio);

export function duration(seconds) {
  if (seconds < 60) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${number(seconds / 60)} min`;
  if (seconds < 86400) return `${number(seconds / 3600)} h`;
  return `${number(seconds / 86400)} d`;
}

const NO_TIME = "–"; // a row may hold a time that no calendar has

export function ago(iso, now = Date.now()) {
  const seconds = Math.round((new Date(iso).getTime() - now) / 1000);
  if (Number.isNaN(seconds)) return NO_TIME;
  if (Math.abs(seconds) < 3) return t("now");
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "always", style: "short" });
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(seconds, "second");
}

export function clock(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return NO_TIME;
  return date.toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit" });
}

export function day(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return NO_TIME;
  if (date.toDateString() === new Date().toDateString()) return t("today");
  return date.toLocaleDateString(locale(), { day: "numeric", month: "short", year: "numeric" });
}

// 5511987654321 → +55 11 98765-4321; anything else as it is, after a +.
export function phone(digits) {
  if (!digits) return "";
  const brazilian = /^55(\d{2})(\d{4,5})(\d{4})$/.exec(digits);
  if (brazilian) return `+55 ${brazilian[1]} ${brazilian[2]}-${brazilian[3]}`;
  return /^\d+$/.test(digits) ? `+${digits}` : digits;
}
