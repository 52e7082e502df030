/** What jobs are not to be given, with the code that says so; part of jobs.suite.ts. */
import type { JobKind } from "./types.ts";

export const WRONG_INPUTS: readonly (readonly [kind: JobKind, input: unknown, code: string])[] = [
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
