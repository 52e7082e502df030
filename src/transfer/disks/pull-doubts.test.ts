/** What a pull of a disk finds here is not believed before its digest came out right. */
import { chmod, open, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { machineBench } from "../../../test/kit/disk/machine-bench.ts";
import { tartImage, type TartImage } from "../../../test/kit/disk/tart-image.ts";
import { mountTmpfs } from "../../../test/kit/disk/file-systems.ts";
import { startFaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { summed } from "../../store/disks/done-log.ts";
import { digestOf } from "../../oci/digest.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { isNamed } from "./get-unnamed.ts";
import { roomForMachine } from "./disk-room.ts";
import { disksOf } from "./machine-parts.ts";
import type { ResolvedImage } from "../resolve-image.ts";

const MIB = 1 << 20;
const random = (seed: string, bytes = MIB): Buffer => Buffer.from(noise(bytes, seed));
const machine = (...chunks: readonly Buffer[]): TartImage =>
  tartImage(Buffer.concat(chunks), { chunkSizes: chunks.map(({ length }) => length) });

describe("a disk that is here, and has changed since", () => {
  it("is no source any more, which is told", async () => {
    const [before, after] = [machine(random("a"), random("b")), machine(random("new"), random("b"), random("a"))];
    const { push, pull } = await machineBench();
    await push("1", before);
    await push("2", after);
    const { path } = (await pull("1")).disks![0]!;
    await chmod(path!, 0o644);
    await using file = await open(path!, "r+");
    await file.write(Buffer.from("damage"), 0, 6, 1000);
    const result = await pull("2");
    expect((await readFile(result.disks![0]!.path!)).equals(after.disk)).toBe(true);
    const fallbacks = result.layers.flatMap((layer) => layer.fallbacks);
    expect(fallbacks).toMatchObject([{ from: "another disk", reason: expect.stringContaining("SOURCE_CHANGED") }]);
    expect(result.events.filter(({ type }) => type === "fallback")).toHaveLength(1);
    expect(result.bytes.local).toBeGreaterThanOrEqual(MIB);
  });
});

describe("a disk that is here, and has another size", () => {
  it("is made anew", async () => {
    const image = machine(random("a"), random("b"));
    const { push, pull } = await machineBench();
    await push("1", image);
    const { path } = (await pull("1")).disks![0]!;
    await chmod(path!, 0o644);
    await truncate(path!, MIB);
    expect(await pull("1")).toMatchObject({ status: "pulled" });
    expect((await readFile(path!)).equals(image.disk)).toBe(true);
  });
});

describe("a manifest that means harm", () => {
  it("cannot make a pull wait for itself by calling a blob what it calls the disk", async () => {
    const content = random("a", 16_384);
    const text = Buffer.from(`varve disk 1\ncontent ${digestOf(content)} ${content.length}\n`);
    const image = tartImage(content, { blobOf: () => text });
    expect(disksOf(readDiskImage(image.manifest)!)[0]!.key).toBe(digestOf(text));
    const { push, pull } = await machineBench();
    await push("1", image);
    await expect(pull("1")).rejects.toMatchObject({
      code: expect.stringMatching(/COMPRESSION_INVALID|MANIFEST_INVALID/),
    });
  });

  it("cannot change what is known of a blob that another image has too", async () => {
    const image = machine(Buffer.alloc(MIB));
    const { digest, size, mediaType } = image.manifest.layers[1]!;
    const diffId = digestOf("the layer's tar");
    const known = { digest, diffId, mediaType, size, uncompressedSize: 5, entries: 1, verifiedAt: new Date(1000) };
    const { push, pull, withStore } = await machineBench();
    await withStore((store) => store.layers.put({ ...known, discardedAt: new Date(2000) }));
    await push("1", image);
    await pull("1");
    expect(await withStore((store) => store.layers.get(digest))).toMatchObject(known);
  });
});

describe("a place where a chunk can be taken up again", () => {
  it("that is wrong costs the chunk once more, and no wrong byte", async () => {
    const image = machine(random("a", 24 * MIB));
    const disk = disksOf(readDiskImage(image.manifest)!).find(isNamed);
    const { digest, size } = disk!.disk.chunks[0]!.blob;
    const { push, pull, root, registry } = await machineBench(4 * MIB);
    await push("1", image);
    const proxy = await startFaultProxy({ target: registry.host });
    onTestFinished(() => proxy[Symbol.asyncDispose]());
    proxy.setRules([{ path: new RegExp(digest), fault: { kind: "stall", afterBytes: 20 * MIB } }]);
    const stop = new AbortController();
    const cut = pull("1", { host: proxy.host, signal: stop.signal });
    await expect.poll(() => proxy.bytesFor(new RegExp(digest)), { timeout: 20_000 }).toBeGreaterThanOrEqual(20 * MIB);
    stop.abort();
    await expect(cut).rejects.toMatchObject({ code: "INTERRUPTED" });
    await shiftBorders(root);
    proxy.setRules([]);
    const result = await pull("1", { host: proxy.host });
    expect((await readFile(result.disks![0]!.path!)).equals(image.disk)).toBe(true);
    const row = result.layers.find((layer) => layer.digest === digest);
    expect(row).toMatchObject({ requests: 2, fallbacks: [{ from: "first try" }] });
    expect(row!.bytes.network).toBeGreaterThan(size);
    expect(result.resumedBytes).toBe(0);
  });
});

/** Each says that its block begins a byte later than it does. */
async function shiftBorders(root: string): Promise<void> {
  const partial = join(root, "disks", "partial");
  for (const name of await readdir(partial, { recursive: true })) {
    if (!name.endsWith("borders")) continue;
    const text = await readFile(join(partial, name), "latin1");
    const lines = text.split("\n").map((line) => {
      const [word, encoded, decoded] = line.split(" ");
      if (word !== "border") return line;
      return summed(`border ${Number(encoded) + 1} ${decoded}`);
    });
    await writeFile(join(partial, name), lines.join("\n"), "latin1");
  }
}

describe("zeros that somebody compressed badly", () => {
  it("are fetched, and are a hole all the same", async () => {
    // Of a size whose zeros are not known by heart.
    const size = MIB + 1;
    const stored = Buffer.alloc(size + 12);
    stored.write("bv4-", 0);
    stored.writeUInt32LE(size, 4);
    stored.write("bv4$", size + 8);
    const image = tartImage(Buffer.alloc(size), { blobOf: () => stored });
    const { push, pull, faults } = await machineBench();
    await push("1", image);
    expect((await pull("1")).disks![0]).toMatchObject({ size, allocatedBytes: 0, bytes: { network: stored.length } });
    expect(await faults()).toEqual([]);
  });
});

describe("the room that a machine needs at least", () => {
  it("is about what is no zeros, and nothing for what is here", async () => {
    const image = machine(random("a", 4 * MIB), Buffer.alloc(8 * MIB), Buffer.concat([random("b"), Buffer.alloc(MIB)]));
    const disks = disksOf(readDiskImage(image.manifest)!);
    const { push, pull, withStore } = await machineBench();
    const resolved = { name: "vm", manifest: image.manifest } as ResolvedImage;
    const { diskBytes } = await withStore((store) => roomForMachine(store, resolved, disks));
    expect(diskBytes).toBeLessThanOrEqual(5 * MIB);
    expect(diskBytes).toBeGreaterThan(4.9 * MIB);
    await push("1", image);
    await pull("1");
    expect(await withStore((store) => roomForMachine(store, resolved, disks))).toMatchObject({ diskBytes: 0 });
  });
});

describe.skipIf(!canMount())("a pull of a disk that cannot fit", () => {
  it("fails before a byte of it is fetched, and passes where only its length would not fit", async () => {
    const [large, long] = [machine(random("a", 12 * MIB)), machine(random("a", 2 * MIB), Buffer.alloc(60 * MIB))];
    await using tmpfs = await mountTmpfs("8m");
    const { push, pull, registry } = await machineBench(undefined, tmpfs.path);
    await push("large", large);
    await push("long", long);
    await expect(pull("large")).rejects.toMatchObject({ code: "NO_SPACE", detail: { missing: expect.any(Number) } });
    expect(registry.requests.filter(({ path }) => path.includes(large.manifest.layers[1]!.digest))).toEqual([]);
    expect(await pull("long")).toMatchObject({ status: "pulled", disks: [{ size: 62 * MIB }] });
  });
});
