/** What clients do in a trial, and how often. */
import type { Client } from "./client.ts";
import * as hosted from "./hosted-actions.ts";
import * as jobs from "./job-actions.ts";
import * as mirror from "./mirror-actions.ts";
import * as store from "./store-actions.ts";

export type Action = (client: Client) => Promise<void>;

export const ACTIONS: readonly (readonly [weight: number, action: Action])[] = [
  [20, mirror.mirrorBlob],
  [12, mirror.mirrorManifest],
  [2, mirror.mirrorTags],
  [2, mirror.mirrorNothing],
  [8, hosted.pushImage],
  [12, hosted.readHosted],
  [3, hosted.listTags],
  [3, hosted.deleteHosted],
  [8, jobs.startPull],
  [2, jobs.startDelta],
  [3, jobs.startCollection],
  [1, jobs.startCheck],
  [4, jobs.lookAtJob],
  [2, jobs.cancelJob],
  [3, jobs.followJob],
  [2, jobs.checkJobs],
  [2, store.planPull],
  [2, store.listImages],
  [2, store.readImage],
  [2, store.removeImage],
  [2, store.tagImage],
  [3, store.prepareSnapshot],
  [2, store.readSnapshot],
  [1, store.removeSnapshot],
  [3, store.readTotals],
];
