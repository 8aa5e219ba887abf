// The command line's side of the admin API.
export class AdminClient {
  readonly #url: string;

  constructor(url: string | undefined) {
    if (url === undefined || url === "") throw new Error("set WHATSAPP_SIMULATOR_ADMIN_URL or give --admin URL");
    this.#url = url;
  }

  async call(method: string, path: string, body?: object): Promise<unknown> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    const token = process.env.WHATSAPP_SIMULATOR_TOKEN;
    if (token) headers.authorization = `Bearer ${token}`;
    const request = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(new URL(path, this.#url), request);
    const answer = (await response.json()) as { error?: string };
    if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
    return answer;
  }

  /** Whether the number belongs to a phone or to a contact. */
  async role(number: string): Promise<"phone" | "contact"> {
    const { status } = await fetch(new URL(`/phones/${number}`, this.#url), {
      headers: process.env.WHATSAPP_SIMULATOR_TOKEN
        ? { authorization: `Bearer ${process.env.WHATSAPP_SIMULATOR_TOKEN}` }
        : {},
    });
    return status === 200 ? "phone" : "contact";
  }
}
