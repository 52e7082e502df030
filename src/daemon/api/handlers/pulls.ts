/** `/v1/pulls` and `/v1/plans` */
import { parsePlatform } from "../../../oci/platform.ts";
import { pull } from "../../../transfer/pull.ts";
import type { Handlers } from "../call.ts";

export const pullHandlers: Handlers<"createPull" | "createPlan"> = {
  createPull: ({ body, parts }) => parts.jobs.queue.add("pull", body),
  async createPlan({ body: { reference, platform, unpack, delta }, parts, context }) {
    return pull(await context(), reference, {
      plan: true,
      deltaRoots: parts.daemon.config().deltaRoots,
      ...(platform !== undefined && { platform: parsePlatform(platform) }),
      ...(unpack !== undefined && { unpack }),
      ...(delta !== undefined && { delta }),
    });
  },
};
