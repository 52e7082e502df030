/**
 * Random requests of several clients to a real `varve serve`, whose way to upstream breaks things and which is killed at random moments and
 * started again on the same store. What it answers in full has to be right, what it acknowledged has to be there after each death, and the
 * store has to be sound.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import { ACTIONS, type Action } from "./actions.ts";
import { checkAcknowledged, checkEnd, checkStoreOf } from "./aftermath.ts";
import { Asker } from "./ask.ts";
import type { Client, World } from "./client.ts";
import { JobBook } from "./job-book.ts";
import { Known } from "./known.ts";
import { Served, type TrialOptions } from "./served.ts";
import { startUpstream, TROUBLES } from "./upstream.ts";

export interface TrialOutcome {
  readonly answers: ReadonlyMap<string, number>;
  /** How the jobs ended. */
  readonly jobs: readonly string[];
  readonly strikes: number;
}

/** @throws Error that says what did not hold, and what the daemon said last */
export async function runTrial(options: TrialOptions): Promise<TrialOutcome> {
  const rng = createRng(options.seed);
  await using upstream = await startUpstream(join(options.dir, "upstream"), rng.fork());
  await using daemon = new Served(options, upstream);
  using asker = new Asker();
  const answers = new Map<string, number>();
  const { host } = upstream.proxy;
  const digests = upstream.images.map(({ name, tag, digest }) => [`${host}/${name}:${tag}`, digest] as const);
  let calm = false;
  const world: World = {
    upstream,
    asker,
    jobs: new JobBook(new Map(digests), () => daemon.kills),
    host: () => daemon.host(),
    kills: () => daemon.kills,
    calm: () => calm,
    unpacks: options.snapshotter !== "none",
    abandoned: new Set(),
    count: (what) => answers.set(what, (answers.get(what) ?? 0) + 1),
    counted: (what) => answers.get(what) ?? 0,
  };
  const clients = Array.from({ length: options.clients }, (_, index) => newClient(world, `c${index}`, rng.fork()));
  try {
    upstream.proxy.setRules(TROUBLES, options.seed);
    await daemon.start();
    await work(clients, daemon, options, rng);
    upstream.proxy.setRules([]);
    calm = true;
    await checkEnd(clients, daemon, options);
  } catch (error) {
    const said = daemon.said().split("\n").slice(-25).join("\n");
    throw new Error(`${(error as Error).stack ?? String(error)}\nthe daemon said last:\n${said}`, { cause: error });
  }
  return { answers, jobs: world.jobs.ends, strikes: upstream.proxy.strikes.length };
}

function newClient(world: World, name: string, rng: Rng): Client {
  return { world, name, rng, hosted: new Known(), held: new Known(), content: new Map(), types: new Map() };
}

/** Clients take their steps at the same time; after each so many of them the daemon dies in the middle of what comes next. */
async function work(clients: readonly Client[], daemon: Served, options: TrialOptions, rng: Rng): Promise<void> {
  const deaths = Array.from({ length: options.kills }, (_, index) => ({
    at: Math.floor((options.requests * (index + 1)) / (options.kills + 1)),
    afterMs: rng.int(DYING_MS),
  }));
  const run = { taken: 0, failed: false, dying: Promise.resolve() };
  const die = async (afterMs: number): Promise<void> => {
    await delay(afterMs);
    await daemon.killAndRestart(() => checkStoreOf(options));
  };
  const busy = clients.map(async (client) => {
    while (run.taken < options.requests && !run.failed) {
      run.taken += 1;
      const death = deaths.find(({ at }) => at === run.taken);
      if (death !== undefined) {
        run.dying = run.dying.then(() => die(death.afterMs));
        run.dying.catch(() => (run.failed = true));
      }
      await draw(client.rng)(client).catch((error: unknown) => {
        run.failed = true;
        throw error;
      });
    }
  });
  const first = (await Promise.allSettled(busy)).find((end) => end.status === "rejected");
  // That nothing could be asked any more is only what follows from it.
  await run.dying;
  if (first !== undefined) throw first.reason;
  for (const client of clients) await checkAcknowledged(client);
}

/** The longest that a daemon goes on when its end has come. */
const DYING_MS = 150;
const WEIGHT = ACTIONS.reduce((sum, [weight]) => sum + weight, 0);

function draw(rng: Rng): Action {
  let at = rng.int(WEIGHT);
  for (const [weight, action] of ACTIONS) {
    at -= weight;
    if (at < 0) return action;
  }
  throw new Error("nothing to do");
}
