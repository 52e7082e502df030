/** Machines whose disks have anything in common, pulled one after the other: bytes come out right, and what moves is just what nobody has. */
import { readFile, stat } from "node:fs/promises";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { machineBench } from "../../../test/kit/disk/machine-bench.ts";
import { stackedTart, vetuImage } from "../../../test/kit/disk/other-machines.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";

const CHUNK = 24 << 10;
/** 0 is zeros; the last one is mostly zeros. */
const CONTENTS = [
  Buffer.alloc(CHUNK),
  ...["a", "b", "c"].map((seed) => Buffer.from(noise(CHUNK, seed))),
  Buffer.concat([Buffer.alloc(CHUNK - 100), Buffer.from(noise(100, "d"))]),
];

const disk = fc.array(fc.nat({ max: CONTENTS.length - 1 }), { minLength: 1, maxLength: 6 });
const image = fc.record({
  disks: fc.array(disk, { minLength: 1, maxLength: 3 }),
  format: fc.constantFrom("tart", "vetu"),
  /** Of each disk's last chunk. */
  cut: fc.nat({ max: 5000 }),
});

it("pulls of machines move what nobody here has, once", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(image, { minLength: 1, maxLength: 3 }), async (images) => {
      const bench = await machineBench();
      const here = new Set<Digest>();
      for (const [at, { disks, format, cut }] of images.entries()) {
        const parts = disks.map((numbers) =>
          numbers.map((number, chunk) =>
            CONTENTS[number]!.subarray(0, chunk + 1 < numbers.length ? CHUNK : CHUNK - cut),
          ),
        );
        const bytes = parts.map((chunks) => Buffer.concat(chunks));
        const named = Object.fromEntries(bytes.map((each, number) => [`${number}.img`, each]));
        const made = format === "tart" ? stackedTart(...parts) : vetuImage(named, { chunkBytes: CHUNK });
        await bench.push(String(at), made);
        const planned = await bench.pull(String(at), { plan: true });
        const result = await bench.pull(String(at));
        expect(planned.bytes).toEqual(result.bytes);
        for (const [number, { path, size, allocatedBytes }] of result.disks!.entries()) {
          expect((await readFile(path!)).equals(bytes[number]!)).toBe(true);
          expect([size, allocatedBytes]).toEqual([bytes[number]!.length, (await stat(path!)).blocks * 512]);
        }
        expect(chunkBytes(result.layers)).toBe(missingBytes(made.manifest, here));
      }
      expect(await bench.faults()).toEqual([]);
    }),
    { numRuns: 12 },
  );
});

/** Bytes that came for chunks. */
function chunkBytes(layers: readonly { how: string; bytes: { network: number } }[]): number {
  return layers.filter(({ how }) => how === "disk").reduce((sum, { bytes }) => sum + bytes.network, 0);
}

/** Bytes of the blobs of contents that are not here, which then are. */
function missingBytes(manifest: Parameters<typeof readDiskImage>[0], here: Set<Digest>): number {
  let bytes = 0;
  for (const each of readDiskImage(manifest)!.disks) {
    if (each.kind !== "chunks") continue;
    for (const { digest, blob, size } of each.chunks) {
      if (digest === digestOf(Buffer.alloc(size)) || here.has(digest!)) continue;
      here.add(digest!);
      bytes += blob.size;
    }
  }
  return bytes;
}
