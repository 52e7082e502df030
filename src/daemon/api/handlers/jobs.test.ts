/** Lists of jobs are bounded in bytes too: a result may be large, and there may be many. */
import { expect, it } from "vitest";
import type { ApiParts, Call } from "../call.ts";
import { jobHandlers } from "./jobs.ts";

function listing(bytes: readonly number[]): Promise<{ readonly jobs: readonly unknown[]; readonly more: boolean }> {
  const jobs = bytes.map((size) => ({ id: "x".repeat(size) }));
  const parts = { jobs: { queue: { list: () => Promise.resolve(jobs) } } } as unknown as ApiParts;
  return jobHandlers.listJobs({ query: {}, parts } as unknown as Call<"listJobs">);
}

it("a list has as many jobs as an answer takes, and always the newest", async () => {
  const MIB = 1 << 20;
  const lengthOf = async (...bytes: readonly number[]): Promise<unknown> => {
    const { jobs, more } = await listing(bytes);
    return [jobs.length, more];
  };
  expect(await lengthOf()).toEqual([0, false]);
  expect(await lengthOf(...Array<number>(200).fill(1000))).toEqual([200, false]);
  expect(await lengthOf(MIB, 14 * MIB, 2 * MIB, 1)).toEqual([2, true]);
  expect(await lengthOf(20 * MIB)).toEqual([1, false]);
  expect(await lengthOf(20 * MIB, 1)).toEqual([1, true]);
});
