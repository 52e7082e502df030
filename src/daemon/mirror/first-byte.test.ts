/** When a registry that does not send is given up. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import type { ByteRange } from "../../store/types.ts";
import { FirstByte } from "./first-byte.ts";

const digest = digestOf("a blob");

describe("the wait for the first byte", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("begins when the registry is asked, and not while the blob waits for its turn", () => {
    const giveUp = vi.fn();
    using wait = new FirstByte({ digest, done: [] }, giveUp);
    vi.advanceTimersByTime(3_600_000);
    expect(giveUp).not.toHaveBeenCalled();
    wait.begin();
    vi.advanceTimersByTime(20_000);
    wait.begin();
    expect(giveUp).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10_000);
    expect(giveUp).toHaveBeenCalledWith(expect.objectContaining({ code: "REGISTRY_TIMEOUT" }));
  });

  it("is over with the first byte, however slowly the others come", () => {
    const giveUp = vi.fn();
    const done: ByteRange[] = [{ start: 0, end: 10 }];
    using wait = new FirstByte({ digest, done }, giveUp);
    wait.begin();
    done.push({ start: 20, end: 21 });
    for (let attempt = 1; attempt < 9; attempt++) {
      wait.onProgress({ type: "retry", host: "a.example", attempt, delayMs: 1, reason: "REGISTRY_UNAVAILABLE: no" });
    }
    vi.advanceTimersByTime(3_600_000);
    expect(giveUp).not.toHaveBeenCalled();
  });

  it("ends with the third failure, whose code it keeps", () => {
    const giveUp = vi.fn();
    using wait = new FirstByte({ digest, done: [] }, giveUp);
    wait.begin();
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect(giveUp).not.toHaveBeenCalled();
      wait.onProgress({ type: "retry", host: "a.example", attempt, delayMs: 1, reason: "REGISTRY_RATE_LIMITED: no" });
    }
    expect(giveUp).toHaveBeenCalledWith(expect.objectContaining({ code: "REGISTRY_RATE_LIMITED", message: "no" }));
  });
});
