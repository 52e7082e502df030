import { describe, expect, it } from "vitest";
import { inParallel } from "./in-parallel.ts";

describe("inParallel", () => {
  it("does all of the work, never more at once than allowed, in order of beginning", async () => {
    let running = 0;
    let most = 0;
    const begun: number[] = [];
    await inParallel([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      begun.push(item);
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    });
    expect(begun).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(most).toBe(3);
  });

  it("throws the first failure when what was begun has settled, and begins nothing more", async () => {
    const slow = Promise.withResolvers<void>();
    const done: string[] = [];
    const all = inParallel(["slow", "bad", "worse", "late"], 2, async (item) => {
      if (item === "slow") await slow.promise;
      else if (item === "bad") {
        queueMicrotask(slow.resolve);
        throw new Error(item);
      }
      done.push(item);
    });
    await expect(all).rejects.toThrow("bad");
    expect(done).toEqual(["slow"]);
  });

  it("has nothing to do with nothing", async () => {
    await inParallel([], 4, () => Promise.reject(new Error("never")));
  });
});
