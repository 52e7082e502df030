/** Frames from registries that serve no ranges, stop doing so, or break: what is wanted comes all the same, and it is told. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Fault } from "../../test/kit/faults/fault.ts";
import { startFaultProxy, type FaultProxy } from "../../test/kit/faults/fault-proxy.ts";
import type { FaultRule } from "../../test/kit/faults/fault-script.ts";
import { at, opening, testClient } from "../../test/kit/http/test-client.ts";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { compressedFrames } from "../../test/kit/recipe/frames-recipe.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { startRegistry, type KitRegistry } from "../../test/kit/registry/registry.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import type { VarveError } from "../errors/varve-error.ts";
import { digestOf } from "../oci/digest.ts";
import { assemble, type AssembleOptions, type AssemblyReport } from "./assembler.ts";
import type { Recipe, Segment } from "./segment.ts";

const SMALL = 4 * 3 * (64 << 10);
const PART = 400_000;
const COUNT = 16;

const parts = Array.from({ length: COUNT }, (_, index) => noise(PART + index, `part ${index}`));
const made = parts.map((part) => compressedFrames(part, "zstd", 3));
const layer = Buffer.concat(made);
const blob = { mediaType: "application/octet-stream", digest: digestOf(layer), size: layer.length };
const bytes = Buffer.concat(parts);
const target = { digest: digestOf(bytes), size: bytes.length };

let dir: TempDir;
let registry: KitRegistry;
let proxy: FaultProxy;
beforeAll(async () => {
  dir = await tempDir();
  registry = await startRegistry();
  await using client = testClient();
  await client.uploads(at(registry.host)).putBlob(blob, opening(layer));
  proxy = await startFaultProxy({ target: registry.host });
});
afterAll(async () => {
  await proxy.close();
  await registry.close();
  await dir[Symbol.asyncDispose]();
});

/** Three of four parts are wanted of the blob, the fourth is at hand; so no two requests can be joined. */
function recipeOf(order = parts.map((_, index) => index)): Recipe {
  const segments = order.map((index): Segment => {
    if (index % 4 === 0) return { kind: "data", bytes: parts[index]! };
    const start = made.slice(0, index).reduce((sum, { length }) => sum + length, 0);
    const frames = { blob, start, length: made[index]!.length, codec: "zstd", size: parts[index]!.length } as const;
    return { kind: "frames", ...frames, digest: digestOf(parts[index]!) };
  });
  return { target, segments };
}

let files = 0;

async function run(
  recipe: Recipe,
  rules: readonly FaultRule[],
  options: Partial<AssembleOptions> = {},
): Promise<{ report: AssemblyReport; same: boolean }> {
  proxy.setRules(rules);
  const path = join(dir.path, `ingest-${files++}`);
  await using client = testClient();
  await using ingest = await FileIngest.open({ path, ...recipe.target });
  const blobs = client.blobs(at(proxy.host));
  const report = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL, ...options });
  return { report, same: Buffer.compare(await readFile(path), bytes) === 0 };
}

const refuse = (status: number): Fault => ({ kind: "status", status });
const refusals: Readonly<Record<string, Fault>> = {
  "the whole blob instead": { kind: "ignoreRange" },
  "status 400": refuse(400),
  "status 416": refuse(416),
  "status 501": refuse(501),
  "another range": { kind: "contentRange", value: `bytes 0-9/${blob.size}` },
  "parts of it": { kind: "headers", headers: { "content-type": "multipart/byteranges; boundary=x" } },
};

describe("a registry that answers ranges of frames with", () => {
  it.each(Object.keys(refusals))("%s sends the blob as one stream, from which they are taken", async (name) => {
    const { report, same } = await run(recipeOf(), [{ ranged: true, fault: refusals[name]! }]);
    expect(same).toBe(true);
    expect(report.fallbacks).toEqual([{ from: "ranges", reason: expect.stringContaining("RANGE_UNSUPPORTED") }]);
    expect(report.bytes.network).toBeGreaterThanOrEqual(blob.size);
  });

  it.each(Object.keys(refusals))("%s only after a while loses nothing that came before", async (name) => {
    const rules = [{ ranged: true, nth: { from: 3 }, fault: refusals[name]! }];
    const { report, same } = await run(recipeOf(), rules, { concurrency: 1 });
    expect(same).toBe(true);
    expect(report.fallbacks).toHaveLength(1);
    expect(report.bytes.data).toBe(parts.reduce((sum, { length }, index) => sum + (index % 4 === 0 ? length : 0), 0));
  });

  it.each(Object.keys(refusals))("%s is left for another plan where frames are wanted out of order", async (name) => {
    const order = parts.map((_, index) => (index + 8) % COUNT);
    const turned = Buffer.concat(order.map((index) => parts[index]!));
    const recipe = { ...recipeOf(order), target: { digest: digestOf(turned), size: turned.length } };
    const seen: VarveError[] = [];
    const replan = (error: VarveError) => {
      seen.push(error);
      const segments = order.map((index): Segment => ({ kind: "data", bytes: parts[index]! }));
      return { recipe: { target: recipe.target, segments }, from: "zstd-chunked" };
    };
    const { report } = await run(recipe, [{ ranged: true, fault: refusals[name]! }], { replan });
    expect(report).toMatchObject({ ...recipe.target, fallbacks: [{ from: "ranges" }, { from: "zstd-chunked" }] });
    expect(seen).toMatchObject([{ code: "RANGE_UNSUPPORTED", detail: { segment: { kind: "frames" } } }]);
  });
});

describe("a registry that breaks", () => {
  it("in the midst of frames is asked for the rest of them only", async () => {
    const rules = [{ ranged: true, nth: { every: 2 }, fault: { kind: "drop", afterBytes: 100_000 } }] as const;
    const { report, same } = await run(recipeOf(), rules);
    expect(same).toBe(true);
    expect(report.fallbacks).toEqual([]);
    expect(report.retries).toBeGreaterThan(0);
    const wanted = made.reduce((sum, { length }, index) => sum + (index % 4 === 0 ? 0 : length), 0);
    expect(report.bytes.network).toBe(wanted);
  });

  it("with a wrong bit is found out by the piece, and another plan goes on", async () => {
    const rules = [{ ranged: true, nth: 1, fault: { kind: "flip", atByte: 50_000 } }] as const;
    const { report, same } = await run(recipeOf(), rules, {
      replan: () => ({ recipe: recipeOf(), from: "zstd-chunked" }),
    });
    expect(same).toBe(true);
    expect(report.fallbacks).toMatchObject([{ from: "zstd-chunked" }]);
  });
});
