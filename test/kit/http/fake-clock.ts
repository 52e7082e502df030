/** A clock that never waits: sleeping moves it forward. Tests look at what was slept. */
import type { Clock } from "../../../src/registry/clock.ts";

export interface FakeClock extends Clock {
  /** Every sleep so far, in milliseconds. */
  readonly slept: number[];
  advance(ms: number): void;
}

export function fakeClock(options: { random?: () => number } = {}): FakeClock {
  let now = Date.UTC(2026, 0, 1);
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      slept.push(ms);
      now += ms;
    },
    random: options.random ?? (() => 0.5),
    advance: (ms) => {
      now += ms;
    },
  };
}
