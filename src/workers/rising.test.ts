import { describe, expect, it } from "vitest";
import { Rising } from "./rising.ts";

const never = new AbortController().signal;

describe("Rising", () => {
  it("wakes those whose mark is passed, and only them", async () => {
    const rising = new Rising();
    const passed: number[] = [];
    const waits = [0, 5, 10].map((mark) => rising.passed(mark, never).then(() => passed.push(mark)));
    rising.raise(6);
    await Promise.all(waits.slice(0, 2));
    expect(passed).toEqual([0, 5]);
    rising.raise(10);
    await rising.passed(9, never);
    expect(passed).toEqual([0, 5]);
    rising.raise(11);
    await Promise.all(waits);
    expect(passed).toEqual([0, 5, 10]);
  });

  it("never falls", async () => {
    const rising = new Rising(7);
    rising.raise(3);
    expect(rising.value).toBe(7);
    await rising.passed(6, never);
  });

  it("lets go of who gives up", async () => {
    const rising = new Rising();
    const abort = new AbortController();
    const waiting = rising.passed(1, abort.signal);
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(rising.passed(1, abort.signal)).rejects.toThrow("enough");
    rising.raise(2);
    await rising.passed(1, abort.signal);
  });
});
