/** By itself, because tables that other tests have fetched take room until they are collected. */
import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { estargzLayer } from "../../test/kit/images/estargz.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { fetchToc } from "./fetch-toc.ts";
import { readTocAnnotations } from "./toc-annotations.ts";
import { inTocRoom } from "./toc-room.ts";

it("takes room beside other tables, though nobody says before how large it is", async () => {
  const { blob, descriptor, diffId } = estargzLayer([{ type: "file", name: "a", content: randomBytes(1000) }]);
  const blobs = new MemoryBlobs();
  blobs.add(blob, descriptor.digest);
  const annotations = readTocAnnotations(descriptor)!;
  const fetch = (): Promise<object> =>
    fetchToc({ blob: descriptor, diffId }, annotations, {
      blobs,
      signal: new AbortController().signal,
    });
  const waiting = Promise.withResolvers<object>();
  const other = inTocRoom(128 << 20, () => waiting.promise);
  await expect(fetch()).rejects.toMatchObject({ code: "TOC_LIMIT" });
  waiting.reject(new Error("given up"));
  await expect(other).rejects.toThrow("given up");
  expect(await fetch()).toBeDefined();
});
