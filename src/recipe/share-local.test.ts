/** Local pieces on a file system whose files share blocks (XFS in a file), and wherever the tests run. */
import { mkdirSync, readFileSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mountDir } from "../../test/kit/mounts/mount-dir.ts";
import { canLoop } from "../../test/kit/mounts/can-mount.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Ingest } from "../store/types.ts";
import { assemble } from "./assembler.ts";
import type { Recipe, Segment } from "./segment.ts";

const MIB = 1 << 20;
const SOURCE = noise(6 * MIB);
const mkfs = findPeer("mkfs.xfs");
const places = { "a file system that shares blocks": xfs, "any other": tempDir };

async function xfs(): Promise<{ path: string } & AsyncDisposable> {
  const dir = await mountDir();
  const image = join(dir.path, "disk.img");
  const path = join(dir.path, "xfs");
  writeFileSync(image, "");
  truncateSync(image, 400 * MIB);
  mkdirSync(path);
  await runOk(mkfs!, ["-q", image]);
  await runOk("mount", ["-o", "loop", image, path]);
  return { path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** Literals of these lengths, and after each a piece of the source from there on. */
function recipeOf(path: string, sketch: readonly (readonly [number, number, number, boolean])[]): [Recipe, Buffer] {
  const parts = sketch.flatMap(([literal, start, length, checked]): [Segment, Uint8Array][] => {
    const data = noise(literal, "literal");
    const bytes = SOURCE.subarray(start, start + length);
    const digest = checked ? { digest: digestOf(bytes) } : {};
    return [
      [{ kind: "data", bytes: data }, data],
      [{ kind: "local", path, start, length: bytes.length, ...digest }, bytes],
    ];
  });
  const bytes = Buffer.concat(parts.map(([, bytes]) => bytes));
  const segments = parts.map(([segment]) => segment);
  return [{ target: { digest: digestOf(bytes), size: bytes.length }, segments }, bytes];
}

async function begin(store: Store, { target }: Recipe): Promise<Ingest> {
  const ingest = await store.content.ingest(target);
  if ("write" in ingest) return ingest;
  throw new Error(`${target.digest} is there already`);
}

describe.each(Object.entries(places))("long local pieces in %s", (_, place) => {
  const unusable = place === xfs && (mkfs === undefined || !canLoop());

  it.skipIf(unusable)("are right wherever they lie and go", async () => {
    await using dir = await place();
    const path = join(dir.path, "source");
    writeFileSync(path, SOURCE);
    await using store = await openStore(join(dir.path, "store"));
    const block = fc.nat(700).map((blocks) => blocks * 4096);
    const piece = fc.tuple(
      fc.oneof(fc.constant(0), fc.constant(4096), fc.constant(512), fc.nat(10_000)),
      fc.oneof(block, fc.nat(3 * MIB)),
      fc.oneof(block, fc.nat(3 * MIB)),
      fc.boolean(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 5 }), async (sketch) => {
        const [recipe, bytes] = recipeOf(path, sketch);
        await using ingest = await begin(store, recipe);
        const report = await assemble(recipe, { ingest, blobs: new MemoryBlobs() });
        expect(report.bytes.local).toBe(sketch.reduce((sum, [, , length]) => sum + length, 0));
        const { path: blob } = await ingest.commit(report);
        expect(Buffer.compare(readFileSync(blob), bytes)).toBe(0);
        rmSync(blob);
      }),
      { numRuns: 15 },
    );
  });

  it.skipIf(unusable)("are taken back when they are not what was said of them", async () => {
    await using dir = await place();
    const path = join(dir.path, "source");
    writeFileSync(path, SOURCE);
    await using store = await openStore(join(dir.path, "store"), { sync: false });
    const [recipe, bytes] = recipeOf(path, [[8192, 4096, 4 * MIB, true]]);
    writeFileSync(path, Uint8Array.from(SOURCE).fill(1, 3 * MIB, 3 * MIB + 1));
    await using ingest = await begin(store, recipe);
    const other: Segment[] = [{ kind: "data", bytes }];
    const replan = () => ({ recipe: { ...recipe, segments: other }, from: "zstd-chunked" });
    const report = await assemble(recipe, { ingest, blobs: new MemoryBlobs(), replan });
    expect(report).toMatchObject({ ...recipe.target, fallbacks: [{ from: "zstd-chunked" }] });
    const { path: blob } = await ingest.commit(report);
    expect(Buffer.compare(readFileSync(blob), bytes)).toBe(0);
  });

  it.skipIf(unusable || place !== xfs)("take no space", async () => {
    await using dir = await place();
    const path = join(dir.path, "source");
    const large = noise(100 * MIB);
    writeFileSync(path, large);
    await using store = await openStore(join(dir.path, "store"));
    const target = { digest: digestOf(large), size: large.length };
    const segments: Segment[] = [{ kind: "local", path, start: 0, length: large.length, digest: digestOf(large) }];
    await using ingest = await begin(store, { target, segments });
    const free = (): number => statfsSync(dir.path).bfree * statfsSync(dir.path).bsize;
    const before = free();
    await ingest.commit(await assemble({ target, segments }, { ingest, blobs: new MemoryBlobs() }));
    expect(before - free()).toBeLessThan(5 * MIB);
  });
});
