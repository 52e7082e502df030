/**
 * Many cases of one kind, one after the other, each of which can be done again by its number: failures are told as they happen,
 * with the command that repeats them.
 */
export interface Case<Outcome> {
  /** From 0; together with the seed it says everything. */
  readonly id: number;
  readonly title: string;
  readonly run: () => Promise<Outcome>;
}

export interface CampaignOptions {
  /** `network`, `kill`, ... */
  readonly name: string;
  readonly seed: number;
  /** Only this case. */
  readonly only?: number | undefined;
  /** Only cases whose titles have this in them. */
  readonly match?: string | undefined;
  /** So many of these at most. */
  readonly atMost?: number | undefined;
  /** Tells what happens. Default: nothing is told. */
  readonly log?: (line: string) => void;
}

export interface CampaignResult<Outcome> {
  readonly outcomes: readonly Outcome[];
  /** Each with the command that does it again. */
  readonly failures: readonly string[];
  readonly seconds: number;
}

const PROGRESS_EVERY = 50;

export async function runCampaign<Outcome>(
  cases: readonly Case<Outcome>[],
  { name, seed, only, match = "", atMost = Infinity, log = () => {} }: CampaignOptions,
): Promise<CampaignResult<Outcome>> {
  const startedAt = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedAt) / 1000);
  const outcomes: Outcome[] = [];
  const failures: string[] = [];
  const matching = cases.filter(({ id, title }) => (only === undefined || id === only) && title.includes(match));
  const chosen = matching.slice(0, atMost);
  for (const [index, { id, title, run }] of chosen.entries()) {
    try {
      outcomes.push(await run());
    } catch (error) {
      const again = `npm run test:faults -- --part ${name} --seed ${seed} --only ${id}`;
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      failures.push(`${name} ${id} (${title}): ${what}\n  again: ${again}`);
      log(`FAILED ${failures.at(-1)}`);
    }
    const done = index + 1;
    if (done % PROGRESS_EVERY === 0)
      log(`${name}: ${done} of ${chosen.length}, ${failures.length} failed, ${seconds()} s`);
  }
  return { outcomes, failures, seconds: seconds() };
}
