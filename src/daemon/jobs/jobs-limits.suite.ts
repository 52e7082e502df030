/** What queues of jobs refuse, cut and leave out; part of jobs.suite.ts. */
import { expect, it } from "vitest";
import type { JobKind, JobQueue } from "./types.ts";

const NEVER = new AbortController().signal;
const ERROR = { code: "INTERNAL", message: "", hint: "" } as const;

/** With the code that says what is wrong. */
const WRONG_INPUTS: readonly (readonly [kind: JobKind, input: unknown, code: string])[] = [
  ["pull", {}, "JOB_INVALID"],
  ["pull", null, "JOB_INVALID"],
  ["pull", [], "JOB_INVALID"],
  ["pull", "a", "JOB_INVALID"],
  ["pull", { reference: 7 }, "JOB_INVALID"],
  ["pull", { reference: "" }, "JOB_INVALID"],
  ["pull", { reference: "UPPER CASE" }, "REFERENCE_INVALID"],
  ["pull", { reference: `a/${"b".repeat(3000)}` }, "JOB_INVALID"],
  ["pull", { reference: "a/b", unpack: "yes" }, "JOB_INVALID"],
  ["pull", { reference: "a/b", delta: "sometimes" }, "JOB_INVALID"],
  ["pull", { reference: "a/b", platform: "////" }, "PLATFORM_INVALID"],
  ["pull", { reference: "a/b", concurrency: 10_000 }, "JOB_INVALID"],
  ["pull", JSON.parse('{"reference": "a/b", "__proto__": {"unpack": false}}'), "JOB_INVALID"],
  ["delta", { base: "a" }, "JOB_INVALID"],
  ["delta", { base: "a\nb", target: "c" }, "JOB_INVALID"],
  ["delta", { base: "a", target: "b", format: "zip" }, "JOB_INVALID"],
  ["delta", { base: "a", target: "b", push: "not a name" }, "REFERENCE_INVALID"],
  ["gc", { partialsOlderThanMs: -1 }, "JOB_INVALID"],
  ["gc", { partialsOlderThanMs: Infinity }, "JOB_INVALID"],
  ["fsck", { images: [1] }, "JOB_INVALID"],
  ["fsck", { images: Array.from({ length: 1001 }, () => "a") }, "JOB_INVALID"],
];

export function limitCases(start: () => Promise<JobQueue>): void {
  it("takes nothing that makes no sense, and nothing too large", async () => {
    const queue = await start();
    for (const [kind, input, code] of WRONG_INPUTS) {
      const error = await queue.add(kind, input as never).catch((thrown: unknown) => thrown);
      expect([input, error]).toMatchObject([input, { code }]);
    }
    expect(await queue.list()).toEqual([]);
    for (const id of ["", "x", "' OR 1=1 --", "\u0000", "1".repeat(100_000), "00000000-0000-0000-0000-00000000000Z"]) {
      expect(await queue.get(id)).toBeUndefined();
      expect(await queue.cancel(id)).toBeUndefined();
    }
  });

  it("keeps of a huge result and a huge error what has room", async () => {
    const queue = await start();
    const job = await queue.add("pull", { reference: "registry.test/a" });
    const layers = Array.from({ length: 40_000 }, (_, index) => ({ digest: `sha256:${index}`.padEnd(71, "0") }));
    await (await queue.claim(["pull"], NEVER)).done({ status: "pulled", layers, warnings: ["a"], sum: 7 });
    const kept = (await queue.get(job.id))?.result as unknown as {
      layers: unknown[];
      warnings: string[];
      sum: number;
    };
    expect(kept).toMatchObject({ status: "pulled", sum: 7 });
    expect(kept.layers.length).toBeGreaterThan(1000);
    expect(kept.layers.length).toBeLessThan(20_000);
    expect(kept.warnings).toHaveLength(2);
    const other = await queue.add("pull", { reference: "registry.test/b" });
    await (await queue.claim(["pull"], NEVER)).fail({ ...ERROR, message: "m".repeat(1_000_000) });
    expect((await queue.get(other.id))?.error?.message).toHaveLength(4096);
  });

  it("lists no more than can be held, however large results are", async () => {
    const queue = await start();
    const text = "x".repeat(1_000_000);
    for (let count = 0; count < 40; count++) {
      await queue.add("gc", {});
      await (await queue.claim(["gc"], NEVER)).done({ text });
    }
    const listed = await queue.list({ limit: 1000 });
    expect(listed).toHaveLength(33);
    expect(listed.map(({ createdAt }) => createdAt)).toEqual(
      listed
        .map(({ createdAt }) => createdAt)
        .toSorted()
        .toReversed(),
    );
  });
}
