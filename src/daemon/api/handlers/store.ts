/** `/v1/gc`, `/v1/fsck`, `/v1/df` and `/v1/version` */
import { diskUsage } from "../../../transfer/disk-usage.ts";
import { collectGarbage } from "../../../transfer/gc.ts";
import type { Handlers } from "../call.ts";

export const storeHandlers: Handlers<"getVersion" | "startGc" | "previewGc" | "startFsck" | "getDiskUsage"> = {
  getVersion: ({ parts }) =>
    Promise.resolve({
      version: parts.version,
      node: process.versions.node,
      system: `${process.platform}-${process.arch}`,
    }),
  startGc: ({ body, parts }) => parts.jobs.queue.add("gc", body),
  previewGc: async ({ query, context }) => collectGarbage(await context(), { ...query, dryRun: true }),
  startFsck: ({ body, parts }) => parts.jobs.queue.add("fsck", body),
  getDiskUsage: async ({ context }) => diskUsage(await context()),
};
