/**
 * `npm run test:faults`: the proof that a pull never starts over and that a store never breaks. Every case can be done again:
 *
 *     npm run test:faults -- [--part network] [--seed N] [--only N] [--match TEXT] [--cases N] [--size MB] [--quick]
 */
import { parseArgs } from "node:util";
import { tempDir } from "../kit/temp-dir.ts";
import { runParts, PARTS } from "./parts.ts";

const { values } = parseArgs({
  options: {
    part: { type: "string", multiple: true, default: [...PARTS] },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    /** Only cases with this in their titles. */
    match: { type: "string" },
    /** Of each part, so many at most. */
    cases: { type: "string", default: "Infinity" },
    /** Of the large image, in megabytes of compressed layers. */
    size: { type: "string", default: "320" },
    /** A few cases of each part. */
    quick: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
console.log(`seed ${seed}`);
await using dir = await tempDir("varve-faults-");
const failures = await runParts({
  parts: values.part,
  seed,
  only: values.only === undefined ? undefined : Number(values.only),
  match: values.match,
  atMost: Number(values.cases),
  largeBytes: Number(values.size) * 1e6,
  quick: values.quick,
  dir: dir.path,
  log: (line) => console.log(line),
});
console.log(failures.length === 0 ? "all right" : `${failures.length} failed:\n${failures.join("\n")}`);
process.exitCode = failures.length === 0 ? 0 : 1;
