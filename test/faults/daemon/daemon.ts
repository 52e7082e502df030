/**
 * Part five: a thousand random requests to a real daemon, to its API and as a registry and mirror, over a line that breaks, with `kill -9` of the
 * daemon among them; see {@link runTrial}.
 */
import { tempDir } from "../../kit/temp-dir.ts";
import { runTrial, type TrialOutcome } from "../../daemon/faults/trial.ts";
import { createRng } from "../../kit/images/rng.ts";
import { runCampaign, type CampaignOptions, type CampaignResult, type Case } from "../lib/campaign.ts";
import { counts, table } from "../lib/table.ts";
import type { Unpacking } from "../lib/unpacking.ts";

export interface DaemonOptions extends CampaignOptions {
  readonly cases: number;
  readonly unpackings: readonly Unpacking[];
}

const EACH = { requests: 100, kills: 3, clients: 6 };
/** Of the images, so that the mirror has to forget some and get them again. */
const KEEP_BYTES = 500_000;

interface Row extends TrialOutcome {
  readonly title: string;
}

export async function runDaemon(options: DaemonOptions): Promise<CampaignResult<Row> & { readonly report: string }> {
  const rng = createRng(options.seed);
  const copies = options.unpackings.some(({ snapshotter }) => snapshotter === "copy");
  const cases: Case<Row>[] = Array.from({ length: options.cases }, (_, id) => {
    const seed = rng.int(2 ** 31);
    const snapshotter = copies && id % 2 === 1 ? "copy" : "none";
    const keepBytes = id % 4 >= 2 ? { keepBytes: KEEP_BYTES } : {};
    const title = `daemon, ${snapshotter === "copy" ? "unpacking" : "not unpacking"}, ${id % 4 >= 2 ? "a small" : "any"} cache`;
    const run = async (): Promise<Row> => {
      await using dir = await tempDir("varve-daemon-trial-");
      return { title, ...(await runTrial({ ...EACH, ...keepBytes, seed, dir: dir.path, snapshotter })) };
    };
    return { id, title, run };
  });
  const result = await runCampaign(cases, options);
  return { ...result, report: reportOf(result.outcomes) };
}

function reportOf(rows: readonly Row[]): string {
  const head = ["trial", "faults", "answers", "jobs"];
  const lines = rows.map(({ title, strikes, answers, jobs }) => [
    title,
    strikes,
    [...answers].map(([what, count]) => `${what} ${count}`).join(", "),
    counts(jobs),
  ]);
  return table(head, lines);
}
