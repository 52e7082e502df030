/** Random files, targets and options against a model: the bytes. */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { punchHole, type Extent } from "../sys/sparse.ts";
import { copyDisk } from "./copy.ts";
import { PIECE_BYTES, pieces, union } from "./pieces.ts";
import { SPARSE_MODES } from "./sparse-modes.ts";
import { dataStretches } from "../codec/zero-runs.ts";

const LONGEST = 3 << 20;

/** Somewhere in a file; often at the edges of blocks, windows and pieces, and next to them. */
const place = fc.oneof(
  fc.nat(LONGEST),
  fc.nat(LONGEST >> 12).map((block) => block << 12),
  fc.nat(LONGEST >> 16).map((window) => window << 16),
  fc.tuple(fc.nat(LONGEST >> 16), fc.constantFrom(-1, 1)).map(([window, next]) => Math.max(0, (window << 16) + next)),
);

interface Step {
  readonly what: "data" | "zeros" | "punch";
  readonly from: number;
  readonly to: number;
}

const step = fc
  .record({ what: fc.constantFrom("data", "data", "zeros", "punch"), from: place, to: place })
  .map(({ what, from, to }): Step => ({ what, from: Math.min(from, to), to: Math.max(from, to) }));
const file = fc.record({ size: place, steps: fc.array(step, { maxLength: 6 }) });

/** Makes the file, and says what it holds. */
function make(path: string, { size, steps }: { readonly size: number; readonly steps: readonly Step[] }): Buffer {
  const model = Buffer.alloc(size);
  const fd = openSync(path, "w");
  ftruncateSync(fd, size);
  steps.forEach(({ what, from, to }, index) => {
    const end = Math.min(size, to);
    if (from >= end) return;
    model.fill(what === "data" ? index + 1 : 0, from, end);
    if (what !== "punch" || !punchHole(fd, from, end - from)) writeSync(fd, model, from, end - from, from);
  });
  closeSync(fd);
  return model;
}

describe("a copy", () => {
  it("has the bytes of its source, whatever is there and however it is made", async () => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "source"), join(dir.path, "target")];
    const options = fc.record({
      sparse: fc.constantFrom(...SPARSE_MODES),
      inPlace: fc.boolean(),
      verify: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(file, fc.option(file), options, async (source, target, how) => {
        rmSync(to, { force: true });
        const model = make(from, source);
        if (target !== null) make(to, target);
        const report = await copyDisk(from, to, { ...how, sync: false });
        expect(Buffer.compare(readFileSync(to), model)).toBe(0);
        const { copiedBytes, reflinkedBytes, unchangedBytes, holeBytes, logicalBytes } = report;
        expect(copiedBytes + reflinkedBytes + unchangedBytes + holeBytes).toBe(logicalBytes);
        expect(report.warnings).toEqual([]);
        if (how.sparse === "never") expect(holeBytes).toBe(0);
        if (how.sparse === "always" && !how.inPlace) {
          const kept = dataStretches(model, 0, model.length, 0).reduce((sum, [start, end]) => sum + end - start, 0);
          expect(copiedBytes + reflinkedBytes).toBe(kept);
        }
        if (target === null) expect(existsSync(to)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe("pieces", () => {
  const extents = fc
    .array(fc.tuple(fc.nat(400_000), fc.integer({ min: 1, max: 3_000_000 })), { maxLength: 12 })
    .map((list) => {
      let at = 0;
      return list.map(([gap, length]): Extent => {
        const offset = at + gap + 1;
        at = offset + length;
        return { offset, length };
      });
    });

  it("cover all of a file once, hold all of its data, and fit a buffer", () => {
    fc.assert(
      fc.property(extents, fc.nat(1_000_000), (list, tail) => {
        const size = (list.at(-1)?.offset ?? 0) + (list.at(-1)?.length ?? 0) + tail;
        let [at, data] = [0, 0];
        for (const piece of pieces(list, size)) {
          expect(piece.offset).toBe(at);
          expect(piece.length).toBeGreaterThan(0);
          at += piece.length;
          if (piece.kind === "hole") continue;
          expect(piece.length).toBeLessThanOrEqual(PIECE_BYTES);
          for (const run of piece.runs) {
            expect(run.offset).toBeGreaterThanOrEqual(piece.offset);
            expect(run.offset + run.length).toBeLessThanOrEqual(at);
            data += run.length;
          }
        }
        expect(at).toBe(size);
        expect(data).toBe(list.reduce((sum, { length }) => sum + length, 0));
      }),
    );
  });

  it("of two files are those of either", () => {
    const covered = (list: Iterable<Extent>, position: number): boolean =>
      [...list].some(({ offset, length }) => position >= offset && position < offset + length);
    fc.assert(
      fc.property(extents, extents, fc.nat(20_000_000), (one, other, position) => {
        const both = [...union(one, other)];
        expect(covered(both, position)).toBe(covered(one, position) || covered(other, position));
        for (const [index, { offset, length }] of both.entries()) {
          expect(offset + length).toBeLessThan(both[index + 1]?.offset ?? Infinity);
        }
      }),
    );
  });
});

it("a file is written again as it was read", async () => {
  await using dir = await tempDir();
  const [from, to] = [join(dir.path, "a"), join(dir.path, "b")];
  writeFileSync(from, "disk");
  await copyDisk(from, to);
  await copyDisk(to, from, { inPlace: true, verify: true });
  expect(readFileSync(from, "utf8")).toBe("disk");
});
