/** What buffers hold that somebody can still reach: for tests of how much work keeps in memory. */
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Enough for whatever is let go of by being collected to be collected itself. */
const MOST_TURNS = 50;
/** Milliseconds in which other threads come to their turn. */
const THREADS_MS = 10;
/** So often in a row nothing more has gone. */
const QUIET_TURNS = 5;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes, after garbage has been collected for as long as that frees anything: threads of the engine give buffers back only after it. */
export async function heldByBuffers(): Promise<number> {
  let least = Infinity;
  for (let turn = 0, quiet = 0; turn < MOST_TURNS && quiet < QUIET_TURNS; turn++) {
    collect();
    await sleep(THREADS_MS);
    const { arrayBuffers } = process.memoryUsage();
    quiet = arrayBuffers < least ? 0 : quiet + 1;
    least = Math.min(least, arrayBuffers);
  }
  return least;
}
