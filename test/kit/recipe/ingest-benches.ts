/** Places to assemble in, so that the recipe engine's tests run on a plain file and on the real store alike. */
import { join } from "node:path";
import type { Recipe } from "../../../src/recipe/segment.ts";
import { openStore } from "../../../src/store/store.ts";
import type { ByteRange, Ingest } from "../../../src/store/types.ts";
import { tempDir } from "../temp-dir.ts";
import { FileIngest } from "./file-ingest.ts";

export interface IngestBench extends AsyncDisposable {
  readonly dir: string;
  /** An ingest of the target: with what its last one left when it was closed, else empty. */
  open(target: Recipe["target"]): Promise<Ingest>;
}

export const BENCHES: Readonly<Record<string, () => Promise<IngestBench>>> = {
  "a plain file": async () => {
    const dir = await tempDir();
    const left = new Map<string, readonly ByteRange[]>();
    return {
      dir: dir.path,
      open: async (target) => {
        const resumed = left.get(target.digest);
        const path = join(dir.path, `${target.digest}.ingest`);
        const ingest = await FileIngest.open({ path, ...target, ...(resumed === undefined ? {} : { resumed }) });
        const close = ingest[Symbol.asyncDispose].bind(ingest);
        ingest[Symbol.asyncDispose] = () => {
          left.set(target.digest, ingest.journal);
          return close();
        };
        return ingest;
      },
      [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
    };
  },
  "the store": () => storeBench("first"),
  "the store, checking what an earlier try left while it goes on": () => storeBench("later"),
};

async function storeBench(check: "first" | "later"): Promise<IngestBench> {
  const dir = await tempDir();
  const store = await openStore(join(dir.path, "store"), { sync: false });
  return {
    dir: dir.path,
    open: async (target) => {
      const ingest = await store.content.ingest(target, { check });
      if ("write" in ingest) return ingest;
      throw new Error(`${target.digest} is there already`);
    },
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}
