// The earlier design: for each message one insert, awaited before the next one, with supabase-js.
//
// stdin: one JSON object {url, key, row, seconds}; stdout: one {rows, seconds, latencies} (ms).
import { text } from "node:stream/consumers";

import { createClient } from "@supabase/supabase-js";

const { url, key, row, seconds } = JSON.parse(await text(process.stdin)) as {
  url: string;
  key: string;
  row: Record<string, unknown>;
  seconds: number;
};
const supabase = createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } });
const latencies: number[] = [];
const began = performance.now();
let now = began;
while (now - began < seconds * 1000) {
  const message = { ...row, conteudo: `Olá! Mensagem ${latencies.length}`, timestamp: new Date().toISOString() };
  const { error } = await supabase.from("whatsapp_mensagens").insert(message);
  if (error !== null) throw error;
  const after = performance.now();
  latencies.push(after - now);
  now = after;
}
process.stdout.write(`${JSON.stringify({ rows: latencies.length, seconds: (now - began) / 1000, latencies })}\n`);
process.exit(0);
