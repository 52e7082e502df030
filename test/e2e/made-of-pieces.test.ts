/** Images of which a layer was made of pieces, so that its blob never was here: whatever else is done with them goes as with all others. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { chunkedLayer } from "../kit/images/chunked-layer.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { chunkedBench, imageFaults, MOST_CHANGED, treeFaults, version, type ChunkedBench } from "./chunked-bench.ts";
import type { Machine } from "./machine.ts";

const DRIVERS = await usableDrivers();

let bench: ChunkedBench;
let images: { readonly 1: KitImage; readonly 2: KitImage };
beforeAll(async () => {
  bench = await chunkedBench();
  const [one, two] = await Promise.all(
    [version(1), version(2)].map(async (nodes) => buildImage({ layers: [await chunkedLayer(nodes)] })),
  );
  images = { 1: one!, 2: two! };
});
afterAll(() => bench[Symbol.asyncDispose]());

interface Updated {
  readonly here: Machine;
  readonly name: string;
  readonly result: PullResult;
}

/** A machine that has got the second version on top of the first. */
async function updated(driver: string, ...flags: readonly string[]): Promise<Updated> {
  const here = await bench.machine(driver);
  await here.pull(await bench.push("pieces", "1", images[1]));
  const name = await bench.push("pieces", "2", images[2]);
  return { here, name, result: await here.pull(...flags, name) };
}

describe.each(DRIVERS)("an image that was made of pieces, unpacked by %s", (driver) => {
  it("is pushed and copied with the digest that it was pulled with", async () => {
    const { here, name } = await updated(driver);
    const copied = join(here.path, "layout");
    await here.ok("copy", name, `oci:${copied}:app`);
    // Mounted from where it is, or sent from there.
    await here.ok("push", name, `${bench.proxy.host}/elsewhere/app:2`);
    const other = await bench.machine(driver);
    const pulled = await other.pull(`${bench.proxy.host}/elsewhere/app:2`);
    expect(pulled.digest).toBe(images[2].digest);
    const back = await other.ok("copy", `oci:${copied}:app`, "example.test/back:1");
    expect(back).toMatchObject({ digest: images[2].digest });
    expect(await imageFaults(other, images[2], [version(2)])).toEqual([]);
  });

  it("is whole to fsck, is counted, collected, and leaves nothing", async () => {
    const { here, name } = await updated(driver);
    expect(await here.ok("fsck")).toMatchObject({ findings: [] });
    await here.ok("gc", "--partials-older-than", "0");
    expect(await here.ok("df")).toMatchObject({ totalBytes: expect.any(Number) });
    expect(await imageFaults(here, images[2], [version(2)])).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
    await here.ok("rm", name);
    await here.ok("gc", "--partials-older-than", "0");
    expect(await here.ok("fsck")).toMatchObject({ findings: [] });
    // What it had of its own is gone; the older one is as it was.
    expect(await here.pull(name)).toMatchObject({ layers: [{ how: "zstd-chunked" }] });
    expect(await imageFaults(here, images[2], [version(2)])).toEqual([]);
  });

  it("is unpacked again by fsck --repair when it is damaged", async () => {
    const { here, name } = await updated(driver);
    await damage(here);
    const { code } = await here.varve("fsck", "--repair");
    expect(code).toBe(0);
    expect(await here.ok("fsck")).toMatchObject({ findings: [] });
    expect(await treeFaults(here, images[2], [version(2)])).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });
});

/** Changes what is kept as a tar; of trees, for which there is no blob to hold them to, all is gone that the second version has of its own. */
async function damage({ root }: Machine): Promise<void> {
  const content = version(2).find(({ path }) => path === "app/new")!.content!;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !["layer.tar", "new"].includes(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const start = bytes.indexOf(content.subarray(0, 64));
    if (start < 0) continue;
    if (entry.name === "new") return rm(join(root, ...relative(root, path).split("/", 2)), { recursive: true });
    bytes[start]! ^= 1;
    return writeFile(path, bytes);
  }
  throw new Error("it is not held");
}

describe("with flags", () => {
  it("--no-unpack and --discard-blobs do what they say", async () => {
    const kept = await updated(DRIVERS[0]!, "--no-unpack");
    expect(kept.result.layers).toMatchObject([{ how: "full", unpack: null, bytes: { local: 0 } }]);
    expect(await kept.here.ok("fsck")).toMatchObject({ findings: [] });
    // Held as a blob now, it need not be made of pieces.
    expect(await kept.here.pull(kept.name)).toMatchObject({ layers: [{ how: "present", unpack: "unpacked" }] });
    const discarded = await updated(DRIVERS[0]!, "--discard-blobs");
    expect(discarded.result.layers).toMatchObject([{ how: "zstd-chunked", unpack: "unpacked" }]);
    expect(discarded.result.layers[0]!.bytes.network).toBeLessThan(MOST_CHANGED);
    expect(await discarded.here.ok("fsck")).toMatchObject({ findings: [] });
    expect(await imageFaults(discarded.here, images[2], [version(2)])).toEqual([]);
  });

  it("--plan changes nothing in the store, and tells the same again", async () => {
    const here = await bench.machine(DRIVERS[0]!);
    await here.pull(await bench.push("pieces", "1", images[1]));
    const name = await bench.push("pieces", "2", images[2]);
    const before = await here.ok("df");
    const plan = await here.pull("--plan", name);
    expect(plan).toMatchObject({ status: "planned", layers: [{ how: "zstd-chunked", unpack: null }] });
    expect(await here.ok("df")).toEqual(before);
    expect((await here.images()).map((image) => image.name)).not.toContain(name);
    expect((await here.pull("--plan", name)).layers).toEqual(plan.layers);
  });
});

describe("a pull of pieces that is stopped", () => {
  it("ends with 130, keeps what came, and the next one goes on", async () => {
    const here = await bench.machine(DRIVERS[0]!);
    await here.pull(await bench.push("pieces", "1", images[1]));
    const name = await bench.push("pieces", "2", images[2]);
    const path = new RegExp(images[2].layers[0]!.descriptor.digest);
    bench.proxy.setRules([{ path, nth: { from: 2 }, fault: { kind: "stall", afterBytes: 20_000 } }]);
    await using program = here.start(["pull", "--progress", "json", name]);
    await program.output(/"type":"progress"/);
    program.kill("SIGINT");
    expect((await program.result).code).toBe(130);
    bench.proxy.setRules([]);
    expect(await here.pull(name)).toMatchObject({ layers: [{ how: "zstd-chunked", fallbacks: [] }] });
    expect(await imageFaults(here, images[2], [version(2)])).toEqual([]);
  });
});
