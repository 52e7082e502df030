/** Plans of chunked layers, carried out by the assembler: exactly the tar, and exactly the bytes and requests that were planned. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allKinds } from "../../test/kit/images/chunked-members.ts";
import { estargzLayer } from "../../test/kit/images/estargz.ts";
import type { ChunkedMember } from "../../test/kit/images/tar-members.ts";
import { zstdChunkedLayer, type ChunkedLayerFixture } from "../../test/kit/images/zstd-chunked.ts";
import { BENCHES, type IngestBench } from "../../test/kit/recipe/ingest-benches.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { digestOf } from "../oci/digest.ts";
import { assemble } from "../recipe/assembler.ts";
import { fetchToc } from "./fetch-toc.ts";
import { readTocAnnotations } from "./toc-annotations.ts";

const CHUNK = 65_536;
const big = randomBytes(30 * CHUNK + 7);
const many = Array.from({ length: 300 }, (_, at): ChunkedMember => {
  return { type: "file", name: `f/${at}`, content: randomBytes(1 + ((at * 37) % 900)) };
});
const members: ChunkedMember[] = [...allKinds(), ...many, { type: "file", name: "z/big", content: big }];
/** A third of the small files, half of the chunks of the large one. */
const held = [
  ...members.flatMap(({ content }, at) =>
    content !== undefined && content.length > 0 && at % 3 === 0 ? [content] : [],
  ),
  ...Array.from({ length: 15 }, (_, at) => big.subarray(2 * at * CHUNK, (2 * at + 1) * CHUNK)),
].filter((content) => content !== big);

const layers: Record<string, ChunkedLayerFixture> = {
  "podman's zstd:chunked": zstdChunkedLayer(members),
  "podman's zstd:chunked with a tar-split that nobody vouches for": zstdChunkedLayer(members, {
    tarSplit: "undigested",
  }),
  "podman's zstd:chunked without a tar-split": zstdChunkedLayer([...allKinds(), members.at(-1)!], { tarSplit: "none" }),
  eStargz: estargzLayer(members),
  "nerdctl's zstd:chunked": estargzLayer(members, { codec: "zstd" }),
};

describe("a chunked layer", () => {
  let bench: IngestBench;
  beforeAll(async () => void (bench = await Object.values(BENCHES)[0]!()));
  afterAll(() => bench[Symbol.asyncDispose]());

  it.each(Object.entries(layers))("of %s is made as it was planned", async (_, layer) => {
    const blobs = new MemoryBlobs();
    blobs.add(layer.blob);
    const target = { blob: layer.descriptor, diffId: layer.diffId };
    const { signal } = new AbortController();
    const toc = await fetchToc(target, readTocAnnotations(layer.descriptor)!, { blobs, signal });
    const folder = join(bench.dir, digestOf(layer.blob).slice(7, 19));
    await mkdir(folder);
    const paths = new Map<string, string>();
    for (const content of held) {
      const digest = digestOf(content);
      const path = join(folder, digest.slice(7));
      await writeFile(path, Buffer.concat([Buffer.alloc(3), content]));
      paths.set(digest, path);
    }
    const plan = await toc.plan({
      get(piece) {
        const path = paths.get(toc.pieces.digest(piece) ?? "");
        return path === undefined ? undefined : { path, start: 3 };
      },
    });
    if ("refused" in plan) throw new Error(plan.refused);
    const before = { requests: blobs.requests.length, served: blobs.served };
    await using ingest = await bench.open(plan.recipe.target);
    const report = await assemble(plan.recipe, { ingest, blobs });
    expect(Buffer.compare(await readFile(ingest.path), layer.tar)).toBe(0);
    const { requests, ...bytes } = plan.cost;
    expect(report).toMatchObject({ digest: layer.diffId, size: layer.tar.length, fallbacks: [], requests, bytes });
    expect(blobs.requests.length - before.requests).toBe(requests);
    expect(blobs.served - before.served).toBe(bytes.network);
    expect(bytes.local).toBeGreaterThan(14 * CHUNK);
    await ingest.discard();
  });
});
