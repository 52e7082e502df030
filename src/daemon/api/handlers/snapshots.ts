/** `/v1/snapshots` */
import { parsePlatform } from "../../../oci/platform.ts";
import {
  commitSnapshot,
  listSnapshots,
  prepareSnapshot,
  removeSnapshots,
  snapshotMounts,
  snapshotUsage,
} from "../../../transfer/manage-snapshots.ts";
import type { Handlers } from "../call.ts";
import { heldWord } from "../held-word.ts";
import { pageOf } from "../pages.ts";

type Ids = "listSnapshots" | "createSnapshot" | "commitSnapshot" | "getMounts" | "getUsage" | "removeSnapshot";

export const snapshotHandlers: Handlers<Ids> = {
  async listSnapshots({ query, context }) {
    // Each driver has its own keys.
    const all = await listSnapshots(await context());
    const { rows, next } = pageOf(all, query, ({ driver, key }) => `${driver} ${key}`);
    return { snapshots: rows, next };
  },
  async createSnapshot({ body: { key, parent, kind, platform }, context }) {
    return prepareSnapshot(await context(), key, parent === undefined ? undefined : heldWord(parent), {
      view: kind === "view",
      ...(platform !== undefined && { platform: parsePlatform(platform) }),
    });
  },
  async commitSnapshot({ params, body: { name, parent }, lastingContext }) {
    const bound = parent === undefined ? {} : { parent };
    return commitSnapshot(await lastingContext(), name, params.key, bound);
  },
  getMounts: async ({ params, context }) => ({ mounts: await snapshotMounts(await context(), params.key) }),
  getUsage: async ({ params, context }) => snapshotUsage(await context(), params.key),
  async removeSnapshot({ params, lastingContext }) {
    await removeSnapshots(await lastingContext(), [params.key]);
    return undefined;
  },
};
