import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { ProgressMeter, UnpackMeter } from "./progress-meter.ts";
import type { BytesProgress, ProgressEvent } from "./progress.ts";

const digest = digestOf("a layer");

function meter(total: number, done = 0): { meter: ProgressMeter; events: BytesProgress[]; clock: { now: number } } {
  const events: BytesProgress[] = [];
  const clock = { now: 1000 };
  const emit = (event: ProgressEvent): void => void events.push(event as BytesProgress);
  return { meter: new ProgressMeter({ digest, total, done, emit, clock: () => clock.now }), events, clock };
}

describe("ProgressMeter", () => {
  it("sends at most ten events a second, and always the last", () => {
    const { meter: progress, events, clock } = meter(10_000);
    for (let i = 0; i < 10_000; i++) {
      clock.now += 0.3;
      progress.advance(1);
    }
    progress.finish();
    progress.finish();
    expect(events.length).toBeLessThanOrEqual(32);
    expect(events.length).toBeGreaterThan(25);
    expect(events.at(-1)).toMatchObject({ type: "progress", digest, done: 10_000, total: 10_000, etaSeconds: 0 });
  });

  it("says where the bytes came from", () => {
    const { meter: progress, events } = meter(10);
    progress.count("network", 7);
    progress.count("zero", 3);
    progress.finish();
    expect(events.at(-1)).toMatchObject({ network: 7, local: 0, data: 0, zero: 3 });
  });

  it("measures the rate of new bytes only, and follows it when it changes", () => {
    const { meter: progress, events, clock } = meter(1_000_000, 500_000);
    for (let i = 0; i < 20; i++) {
      clock.now += 100;
      progress.advance(1000);
    }
    expect(events.at(-1)).toMatchObject({ done: 520_000, bytesPerSecond: 10_000, etaSeconds: 48 });
    for (let i = 0; i < 100; i++) {
      clock.now += 100;
      progress.advance(100);
    }
    const slow = events.at(-1)!.bytesPerSecond;
    expect(slow).toBeGreaterThan(1000);
    expect(slow).toBeLessThan(1600);
  });

  it("tells the speed from the first second on, however little came with the first event", () => {
    const { meter: progress, events, clock } = meter(1_000_000);
    clock.now += 1;
    progress.advance(0);
    for (let i = 0; i < 5; i++) {
      clock.now += 100;
      progress.advance(1000);
      expect(events.at(-1)!.bytesPerSecond).toBeGreaterThan(9000);
    }
    expect(events.at(-1)!.etaSeconds).toBeLessThan(110);
  });

  it("has no estimate while nothing moves", () => {
    const { meter: progress, events } = meter(100);
    progress.count("network", 5);
    expect(events.at(-1)).toMatchObject({ bytesPerSecond: 0, etaSeconds: null });
  });

  it("bears a clock that stands still or goes back", () => {
    const { meter: progress, events, clock } = meter(100);
    progress.advance(10);
    clock.now -= 500;
    progress.advance(10);
    progress.finish();
    for (const event of events) expect(event.bytesPerSecond).toBeGreaterThanOrEqual(0);
  });
});

describe("UnpackMeter", () => {
  it("counts bytes and entries, also without a known total", () => {
    const events: ProgressEvent[] = [];
    let now = 0;
    const unpack = new UnpackMeter({ digest, emit: (event) => void events.push(event), clock: () => (now += 1) });
    for (let i = 0; i < 1000; i++) unpack.advance(512, 1);
    unpack.finish();
    expect(events.length).toBeLessThanOrEqual(12);
    expect(events.at(-1)).toEqual({ type: "unpack", digest, done: 512_000, total: null, entries: 1000 });
  });
});
