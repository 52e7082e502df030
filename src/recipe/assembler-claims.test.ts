/** Going on with what an earlier try left: its bytes are checked while what is missing comes, and damage costs only itself. */
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { MemoryBlobs, type MemoryBlobsOptions } from "../../test/kit/recipe/memory-blobs.ts";
import { openIngest } from "../../test/kit/store/open-ingest.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestOf } from "../oci/digest.ts";
import { planFull } from "../plan/full.ts";
import { planResume } from "../plan/resume.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Ingest } from "../store/types.ts";
import { assemble, type AssemblyReport } from "./assembler.ts";
import type { Recipe } from "./segment.ts";

const MIB = 1 << 20;
const SIZE = 40 * MIB;
const bytes = noise(SIZE);

interface Scene extends AsyncDisposable {
  readonly root: string;
  readonly store: Store;
  readonly blobs: MemoryBlobs;
  readonly blob: Descriptor;
  /** Opens the partial blob unchecked. */
  open(): Promise<Ingest>;
  /** Changes a byte of what an earlier try left. */
  damage(position: number): Promise<void>;
}

/** A blob of which an earlier try has left the first 30 MiB, recorded in pieces of 4 MiB and a last one of 2. */
async function scene(options: MemoryBlobsOptions = {}): Promise<Scene> {
  const dir = await tempDir();
  const store = await openStore(dir.path, { sync: false });
  const blobs = new MemoryBlobs(options);
  const blob = blobs.add(bytes);
  {
    await using ingest = await openIngest(store, blob);
    await ingest.write(0, bytes.subarray(0, 30 * MIB));
  }
  return {
    root: dir.path,
    store,
    blobs,
    blob,
    open: () => openIngest(store, blob, { check: "later" }),
    async damage(position) {
      await using file = await open(join(dir.path, "ingest", blob.digest.replace(":", "-"), "data"), "r+");
      await file.write(Buffer.from([bytes[position]! ^ 1]), 0, 1, position);
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function resume({ blob, blobs }: Scene, ingest: Ingest): Promise<AssemblyReport> {
  const { recipe } = planResume(planFull(blob), ingest.resumed);
  return assemble(recipe, { ingest, blobs });
}

describe("what an earlier try left", () => {
  it("is checked while the rest is being fetched already", async () => {
    const asked = Promise.withResolvers<void>();
    await using it = await scene({ onChunk: () => asked.resolve() });
    await using ingest = await it.open();
    expect([ingest.front, ingest.done, ingest.claimed]).toEqual([0, [], [{ start: 0, end: 30 * MIB }]]);
    // A disk that answers no read before the network is asked.
    const check = ingest.checkClaims.bind(ingest);
    ingest.checkClaims = async (options) => {
      await asked.promise;
      return check(options);
    };
    const report = await resume(it, ingest);
    expect(report).toMatchObject({ digest: it.blob.digest, resumedBytes: 30 * MIB, bytes: { network: 10 * MIB } });
    expect(it.blobs.requests.map(({ range }) => range)).toEqual([{ start: 30 * MIB, end: SIZE }]);
    await ingest.commit(report);
  });

  it("costs one more request for each place where it is damaged", async () => {
    await using it = await scene();
    await it.damage(5 * MIB);
    await it.damage(21 * MIB);
    await using ingest = await it.open();
    const done: number[] = [];
    const { recipe } = planResume(planFull(it.blob), ingest.resumed);
    const report = await assemble(recipe, {
      ingest,
      blobs: it.blobs,
      onProgress: (event) => void (event.type === "progress" && done.push(event.done)),
    });
    expect(it.blobs.requests.map(({ range }) => range)).toEqual([
      { start: 30 * MIB, end: SIZE },
      { start: 4 * MIB, end: 8 * MIB },
      { start: 20 * MIB, end: 24 * MIB },
    ]);
    expect(report).toMatchObject({ resumedBytes: 22 * MIB, bytes: { network: 18 * MIB }, fallbacks: [] });
    expect([done[0], done.at(-1)]).toEqual([30 * MIB, SIZE]);
    await ingest.commit(report);
    expect((await readFile(ingest.path)).equals(bytes)).toBe(true);
  });

  it("that is damaged is not vouched for again by the journal", async () => {
    await using it = await scene();
    await it.damage(0);
    {
      await using ingest = await it.open();
      await ingest.checkClaims();
      expect(ingest.resumed).toEqual([{ start: 4 * MIB, end: 30 * MIB }]);
    }
    expect(await it.store.content.partial(it.blob.digest)).toEqual([{ start: 4 * MIB, end: 30 * MIB }]);
  });

  it("keeps what came while it was checked, also when the check is cut off", async () => {
    await using it = await scene();
    await it.damage(0);
    for (const part of ["cut off", "seen through"]) {
      await using ingest = await it.open();
      const stop = new AbortController();
      const checking = ingest.checkClaims({ signal: stop.signal });
      const at = part === "cut off" ? 30 * MIB : 35 * MIB;
      await ingest.write(at, bytes.subarray(at, at + MIB));
      await ingest.checkpoint();
      if (part === "cut off") stop.abort(new Error("enough"));
      await checking.catch(() => {});
    }
    expect(await it.store.content.partial(it.blob.digest)).toEqual([
      { start: 4 * MIB, end: 31 * MIB },
      { start: 35 * MIB, end: 36 * MIB },
    ]);
    await using ingest = await it.open();
    expect((await resume(it, ingest)).resumedBytes).toBe(28 * MIB);
  });

  it("goes into the digest of a piece only when it holds", async () => {
    await using it = await scene();
    await it.damage(29 * MIB);
    await using ingest = await it.open();
    const { blob } = it;
    const piece = { start: 25 * MIB, length: 10 * MIB };
    const digest = digestOf(bytes.subarray(piece.start, piece.start + piece.length));
    const recipe: Recipe = {
      target: blob,
      segments: [
        { kind: "remote", blob, start: 0, length: piece.start },
        { kind: "remote", blob, ...piece, digest },
        { kind: "remote", blob, start: 35 * MIB, length: 5 * MIB },
      ],
    };
    const report = await assemble(recipe, { ingest, blobs: it.blobs });
    expect(report).toMatchObject({ digest: blob.digest, resumedBytes: 28 * MIB, bytes: { network: 12 * MIB } });
  });

  it("is checked first by a recipe that can be told only once", async () => {
    await using it = await scene();
    await it.damage(0);
    await using ingest = await it.open();
    const { blob } = it;
    const once = (async function* () {
      yield { kind: "remote", blob, start: 0, length: SIZE } as const;
    })();
    const report = await assemble({ target: blob, segments: once }, { ingest, blobs: it.blobs });
    expect(report).toMatchObject({ resumedBytes: 26 * MIB, bytes: { network: 14 * MIB } });
  });

  it("stays when the transfer is stopped in the midst of checking", async () => {
    await using it = await scene();
    const stop = new AbortController();
    {
      await using ingest = await it.open();
      const { recipe } = planResume(planFull(it.blob), ingest.resumed);
      const running = assemble(recipe, { ingest, blobs: it.blobs, signal: stop.signal });
      stop.abort();
      await expect(running).rejects.toMatchObject({ code: "INTERRUPTED" });
    }
    await using ingest = await it.open();
    expect(ingest.resumed).toEqual([{ start: 0, end: 30 * MIB }]);
    expect(await resume(it, ingest)).toMatchObject({ digest: it.blob.digest, resumedBytes: 30 * MIB });
  });
});
