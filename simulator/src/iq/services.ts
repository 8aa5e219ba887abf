// Services beside messaging: media hosts and GraphQL queries.
import { QueryIds, XWAPaths } from "baileys";
import { child, node } from "../nodes.ts";
import type { Handlers } from "./requests.ts";

const MEDIA_TTL_SECONDS = "3600";

const queries: Record<string, { path: string; data: object }> = {
  [QueryIds.REACHOUT_TIMELOCK]: {
    path: XWAPaths.xwa2_fetch_account_reachout_timelock,
    data: { is_active: false },
  },
  [QueryIds.MESSAGE_CAPPING_INFO]: { path: XWAPaths.xwa2_message_capping_info, data: {} },
};

export const serviceHandlers: Handlers = {
  "w:m/media_conn": ({ world }) => [
    node("media_conn", { auth: "simulator", ttl: MEDIA_TTL_SECONDS, auth_ttl: MEDIA_TTL_SECONDS, max_buckets: "12" }, [
      node("host", { hostname: world.media.authority }),
    ]),
  ],

  "w:mex": (_connection, request) => {
    const query = queries[child(request, "query")?.attrs.query_id ?? ""];
    const answer = query
      ? { data: { [query.path]: query.data } }
      : { data: null, errors: [{ message: "unknown query", extensions: { error_code: 404 } }] };
    return [node("result", {}, Buffer.from(JSON.stringify(answer)))];
  },
};
