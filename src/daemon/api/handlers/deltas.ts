/** `/v1/deltas` */
import { inspectDelta } from "../../../transfer/deltas/inspect.ts";
import { listDeltas } from "../../../transfer/deltas/list.ts";
import type { Handlers } from "../call.ts";
import { heldWord } from "../held-word.ts";
import { limitOf, pageOf } from "../pages.ts";

export const deltaHandlers: Handlers<"listDeltas" | "getDelta" | "createDelta"> = {
  async listDeltas({ query, context }) {
    const found = await listDeltas(await context(), { ...query, limit: limitOf(query) + 1 });
    const { rows, next } = pageOf(found, query, ({ name }) => name);
    return { deltas: rows, next };
  },
  async getDelta({ params, parts, context }) {
    const { deltaRoots } = parts.daemon.config();
    return inspectDelta(await context(), heldWord(params.name), { deltaRoots });
  },
  createDelta: ({ body, parts }) => parts.jobs.queue.add("delta", body),
};
