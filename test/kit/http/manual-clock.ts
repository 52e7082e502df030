/** A clock that stands still until a test moves it; who sleeps wakes when its time has come, in order. */
import type { Clock } from "../../../src/registry/clock.ts";

export interface ManualClock extends Clock {
  /** Moves on, and lets those who wake do what they do. */
  advance(ms: number): Promise<void>;
  /** Who sleeps now. */
  readonly sleeping: number;
}

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

export function manualClock(): ManualClock {
  let now = Date.UTC(2026, 0, 1);
  let sleepers: readonly Sleeper[] = [];
  return {
    now: () => now,
    random: () => 0.5,
    get sleeping() {
      return sleepers.length;
    },
    sleep: (ms, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const sleeper = { at: now + ms, wake: resolve };
      sleepers = [...sleepers, sleeper].toSorted((a, b) => a.at - b.at);
      signal?.addEventListener("abort", () => {
        sleepers = sleepers.filter((other) => other !== sleeper);
        reject(signal.reason as Error);
      });
      return promise;
    },
    async advance(ms) {
      const end = now + ms;
      for (let next = sleepers[0]; next !== undefined && next.at <= end; next = sleepers[0]) {
        now = next.at;
        sleepers = sleepers.slice(1);
        next.wake();
        await settle();
      }
      now = end;
      await settle();
    },
  };
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
