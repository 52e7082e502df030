/** Machines' images of all kinds are pulled (formats "tart" §1, §2 and §6): their disks come out as they were, and know each other. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import {
  machineBench,
  type MachineBench,
  type MachineImage,
  type PullRun,
} from "../../../test/kit/disk/machine-bench.ts";
import { lumeImage, stackedTart, tartV1, vetuImage } from "../../../test/kit/disk/other-machines.ts";
import { tartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { digestHex, digestOf } from "../../oci/digest.ts";

const CHUNK = 128 << 10;
const random = (seed: string, bytes = CHUNK): Buffer => Buffer.from(noise(bytes, seed));

interface Pulled extends MachineBench {
  readonly result: PullRun;
}

/** Planned, pulled, and pulled once more. */
async function pulled(image: MachineImage): Promise<Pulled> {
  const bench = await machineBench();
  await bench.push("1", image);
  const planned = await bench.pull("1", { plan: true });
  const result = await bench.pull("1");
  expect(planned.bytes.network).toBe(result.bytes.network);
  expect(await bench.pull("1")).toMatchObject({ status: "up-to-date", requests: 1, bytes: { total: 0 } });
  expect(await bench.faults()).toEqual([]);
  return { ...bench, result };
}

const bytesOf = async ({ disks }: PullRun): Promise<Record<string, Buffer>> =>
  Object.fromEntries(await Promise.all(disks!.map(async ({ name, path }) => [name, await readFile(path!)] as const)));

/** What a pull leaves of blobs: no chunk of a disk. */
async function blobsLeft({ withStore }: MachineBench, { manifest }: MachineImage): Promise<number> {
  return withStore(async ({ content }) => {
    const held = await Promise.all(manifest.layers.map(({ digest }) => content.stat(digest)));
    return held.filter((info) => info !== undefined).length;
  });
}

describe("a disk of nothing", () => {
  it.each([
    ["without a byte", stackedTart([Buffer.alloc(0)])],
    ["without a byte, as one stream", tartV1(Buffer.alloc(0), 100)],
    ["but zeros", tartImage(Buffer.alloc(3 * CHUNK + 5), { chunkSizes: [CHUNK] })],
    ["but zeros, as one stream", tartV1(Buffer.alloc(3 * CHUNK + 5), 100)],
  ])("%s is pulled, and takes no room", async (_, image) => {
    const bench = await machineBench();
    await bench.push("1", image);
    const [disk] = (await bench.pull("1")).disks!;
    expect(await bench.pull("1")).toMatchObject({ status: "up-to-date" });
    expect(disk!.allocatedBytes).toBe(0);
    expect((await readFile(disk!.path!)).equals(Buffer.alloc(disk!.size!))).toBe(true);
  });
});

describe("a stack of disks", () => {
  it("is as many raw disks, and what they share comes once", async () => {
    const base = [random("a"), random("b")];
    const over = [random("b"), random("c"), Buffer.alloc(CHUNK)];
    const top = [random("d", 5000)];
    const image = stackedTart(base, over, top);
    const { result } = await pulled(image);
    const expected = Object.fromEntries(
      [base, over, top].map((parts) => [digestHex(digestOf(Buffer.concat(parts))), Buffer.concat(parts)]),
    );
    expect(await bytesOf(result)).toEqual(expected);
    expect(result.bytes).toMatchObject({ local: CHUNK, zero: CHUNK });
  });

  it("shares its base with the image that it was made of", async () => {
    const base = [random("a"), random("b")];
    const bench = await machineBench();
    await bench.push("base", tartImage(Buffer.concat(base), { chunkSizes: [CHUNK] }));
    await bench.push("stack", stackedTart(base, [random("c", 3000)]));
    const first = await bench.pull("base");
    const second = await bench.pull("stack");
    expect(second.disks!.map(({ key }) => key)).toContain(first.disks![0]!.key);
    expect(second.layers.filter(({ how, bytes }) => how === "disk" && bytes.network > 0)).toHaveLength(1);
  });
});

describe("vetu's image", () => {
  it("has several disks, and its kernel", async () => {
    const shared = random("shared");
    const disks = { "disk.img": Buffer.concat([shared, random("a")]), "data.img": Buffer.concat([shared, shared]) };
    const image = vetuImage(disks, { chunkBytes: CHUNK });
    const { result, ...bench } = await pulled(image);
    expect(await bytesOf(result)).toEqual(disks);
    expect(result.bytes).toMatchObject({ local: 2 * CHUNK });
    expect(await blobsLeft(bench, image)).toBe(2);
  });

  it("may have more disks than are made at once, and what they share comes once", async () => {
    const shared = random("shared");
    const disks = Object.fromEntries(
      Array.from({ length: 18 }, (_, at) => [`${at}.img`, Buffer.concat([shared, random(`of ${at}`, 5000)])]),
    );
    const image = vetuImage(disks, { chunkBytes: CHUNK });
    const bench = await machineBench();
    await bench.push("1", image);
    const result = await bench.pull("1");
    expect(await bytesOf(result)).toEqual(disks);
    expect(result.bytes.local).toBe(17 * CHUNK);
  });

  it("need not say what its chunks hold", async () => {
    const disks = { "disk.img": Buffer.concat([random("a"), Buffer.alloc(CHUNK), random("b", 777)]) };
    const image = vetuImage(disks, { chunkBytes: CHUNK, digests: false });
    const { result, ...bench } = await pulled(image);
    expect(await bytesOf(result)).toEqual(disks);
    expect(result.disks![0]!.allocatedBytes).toBeLessThan(CHUNK + 8192 + 4096);
    expect(await blobsLeft(bench, image)).toBe(2);
  });
});

describe("lume's image", () => {
  it.each([true, false])("has parts that say where they lie, with digests: %s", async (digests) => {
    const disk = Buffer.concat([random("a"), Buffer.alloc(CHUNK), random("b", 777)]);
    const image = lumeImage(disk, { chunkBytes: CHUNK, digests });
    const { result, ...bench } = await pulled(image);
    expect(await bytesOf(result)).toEqual({ "disk.img": disk });
    expect(await blobsLeft(bench, image)).toBe(1);
  });
});

describe("Tart's first version", () => {
  it("leaves no blobs of an earlier try either", async () => {
    const image = tartV1(random("a"), 30_000);
    const bench = await machineBench();
    await bench.push("1", image);
    await bench.withStore(async ({ content }) => {
      for (const { digest } of image.manifest.layers) await content.writeBytes(digest, image.blobs.get(digest)!);
    });
    expect(await bench.pull("1")).toMatchObject({ status: "pulled" });
    expect(await blobsLeft(bench, image)).toBe(2);
  });

  // The second block's header begins behind 12 bytes of header and the stored or compressed block before it.
  it.each([20_000, 65_544 + 3, 65_544 + 9, 1 << 20])("is one stream, cut every %i bytes", async (cutBytes) => {
    const disk = Buffer.concat([random("a"), Buffer.alloc(4 * CHUNK), random("b", 777)]);
    const image = tartV1(disk, cutBytes);
    const { result, ...bench } = await pulled(image);
    expect(await bytesOf(result)).toEqual({ "disk.img": disk });
    expect(result.disks![0]).toMatchObject({ size: disk.length });
    expect(result.disks![0]!.allocatedBytes).toBeLessThan(CHUNK + 8192 + 4096);
    expect(await blobsLeft(bench, image)).toBe(2);
  });
});
