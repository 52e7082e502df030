/**
 * What goes wrong with a chunked pull - registries that serve no ranges or other ones, files of this machine that change between plan and
 * use, tables of contents that lie - costs bytes and is told, and the image is what its DiffIDs say.
 */
import { chmod, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import type { FaultRule } from "../kit/faults/fault-script.ts";
import { startFaultProxy } from "../kit/faults/fault-proxy.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { layerOf, type KitLayer } from "../kit/images/build-layer.ts";
import { chunkedLayer } from "../kit/images/chunked-layer.ts";
import { estargzLayer } from "../kit/images/estargz.ts";
import { zstdChunkedLayer, type ChunkedLayerFixture, type TocDocument } from "../kit/images/zstd-chunked.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import {
  chunkedBench,
  imageFaults,
  membersOf,
  MOST_CHANGED,
  treeFaults,
  version,
  type ChunkedBench,
} from "./chunked-bench.ts";
import { newMachine, type Machine } from "./machine.ts";

const DRIVERS = await usableDrivers();
/** They take turns. */
const driverOf = (at: number): string => DRIVERS[at % DRIVERS.length]!;

let bench: ChunkedBench;
let images: { readonly 1: KitImage; readonly 2: KitImage };
const NO_ENTRIES = "has no entries";
const machines = new Map<string, Machine>();
beforeAll(async () => {
  bench = await chunkedBench();
  const [one, two] = await Promise.all(
    [version(1), version(2)].map(async (nodes) => buildImage({ layers: [await chunkedLayer(nodes)] })),
  );
  images = { 1: one!, 2: two! };
  for (const driver of DRIVERS) machines.set(driver, await withFirst(driver));
});
afterAll(async () => {
  for (const machine of [...machines.values()].toReversed()) await machine[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const only = ({ layers: [layer] }: PullResult): PullResult["layers"][number] => layer!;

/** A machine that has the first version. */
async function withFirst(driver: string): Promise<Machine> {
  const here = await newMachine({ VARVE_SNAPSHOTTER: driver });
  await here.pull(await bench.push("ladder", "1", images[1]));
  return here;
}

/** One that other tests have used for the same, and the name of an image that it has nothing of when a test begins. */
async function withName(driver: string, next = images[2]): Promise<{ here: Machine; name: string }> {
  const here = machines.get(driver)!;
  const name = await bench.push("ladder", "2", next);
  onTestFinished(async () => {
    bench.proxy.setRules([]);
    await here.varve("rm", name);
    await here.varve("gc");
  });
  return { here, name };
}

describe("a registry", () => {
  const path = /\/blobs\//;
  const all: Pick<FaultRule, "path" | "ranged"> = { path, ranged: true };
  // The table of contents comes with the first request.
  const later = { ...all, nth: { from: 2 } };
  const wrong = { kind: "contentRange", value: "bytes 5-6/7000000" } as const;
  const other = { kind: "contentRange", value: "bytes 0-99/*" } as const;
  const rows: [string, FaultRule[]][] = [
    ["answers ranges with 200", [{ ...all, fault: { kind: "ignoreRange" } }]],
    ["answers later ranges with 200", [{ ...later, fault: { kind: "ignoreRange" } }]],
    ["answers ranges with 400", [{ ...all, fault: { kind: "status", status: 400 } }]],
    ["answers later ranges with 416", [{ ...later, fault: { kind: "status", status: 416 } }]],
    ["answers ranges with 501", [{ ...all, fault: { kind: "status", status: 501 } }]],
    ["answers later ranges with 403", [{ ...later, fault: { kind: "status", status: 403 } }]],
    ["says that ranges of another blob come", [{ ...all, fault: wrong }]],
    ["says later that other ranges come", [{ ...later, fault: other }]],
    ["sends other bytes later", [{ ...later, fault: { kind: "flip", atByte: 30 } }]],
  ];

  it.each(rows.map(([what, rules], at) => [what, driverOf(at), rules] as const))(
    "that %s gives the image, unpacked by %s",
    async (_, driver, rules) => {
      const { here, name } = await withName(driver);
      bench.proxy.setRules(rules);
      const asked = bench.proxy.requests.length;
      const result = await here.pull(name);
      const [{ fallbacks, how, bytes }, received] = [only(result), bench.proxy.requests.slice(asked)];
      expect(fallbacks.length).toBeGreaterThan(0);
      for (const { reason } of fallbacks) expect(reason.length).toBeGreaterThan(10);
      expect(["full", "zstd-chunked"]).toContain(how);
      const size = images[2].layers[0]!.bytes.length;
      expect(bytes.network).toBeLessThan(size + MOST_CHANGED);
      expect(received.reduce((sum, { sent }) => sum + sent, 0)).toBeGreaterThanOrEqual(result.bytes.network);
      expect(await imageFaults(here, images[2], [version(2)])).toEqual([]);
      bench.proxy.setRules([]);
      expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
    },
  );

  it.each<[string, FaultRule["fault"]]>([
    ["ignore ranges", { kind: "ignoreRange" }],
    ["forbid ranges", { kind: "status", status: 403 }],
  ])("whose redirects lead to a place that would %s gives the image", async (_, fault) => {
    const { here, name } = await withName(DRIVERS[0]!);
    const elsewhere = await startFaultProxy({ target: bench.registry.host, rules: [{ ranged: true, fault }] });
    onTestFinished(() => elsewhere.close());
    bench.proxy.setRules([{ path, fault: { kind: "redirect", to: elsewhere.url } }]);
    const { fallbacks, how } = only(await here.pull(name));
    expect({ how, from: fallbacks[0]?.from }).toEqual({ how: "full", from: "zstd-chunked" });
    expect(await imageFaults(here, images[2], [version(2)])).toEqual([]);
  });
});

describe("what is held", () => {
  const flip = async (path: string, at: number): Promise<void> => {
    const bytes = await readFile(path);
    bytes[at + 2_000_000]! ^= 1;
    await chmod(path, 0o600);
    await writeFile(path, bytes);
  };
  it.each<[string, string, (path: string, at: number) => Promise<void>]>([
    ...DRIVERS.map((driver): [string, string, typeof flip] => [driver, "has another bit", flip]),
    [driverOf(0), "is shorter", (path, at) => truncate(path, at + 1_000_000)],
    [driverOf(1), "is gone", (path) => rm(path)],
  ])("by %s and %s when it is used costs bytes and no more", async (driver, _, spoil) => {
    await using here = await withFirst(driver);
    const name = await bench.push("ladder", "2", images[2]);
    await here.pull("--plan", name);
    const { path, start } = await findKept(here);
    await spoil(path, start);
    const { fallbacks, how, bytes, why } = only(await here.pull(name));
    expect(how === "zstd-chunked" || fallbacks.length > 0 || why!.includes("nothing is here")).toBe(true);
    expect(bytes.network).toBeLessThan(images[2].layers[0]!.bytes.length + MOST_CHANGED);
    expect(await treeFaults(here, images[2], [version(2)])).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });
});

/** Where the largest file of the first version is held. */
async function findKept({ root }: Machine): Promise<{ path: string; start: number }> {
  const content = version(1).find(({ path }) => path === "app/kept")!.content!;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !["layer.tar", "kept"].includes(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const start = (await readFile(path)).indexOf(content.subarray(0, 64));
    if (start >= 0) return { path, start };
  }
  throw new Error("the file is not held");
}

describe("a table of contents", () => {
  type Edit = (toc: TocDocument, entry: (name: string) => Record<string, unknown>) => unknown;
  const PODMAN = "io.github.containers.zstd-chunked";
  const ESTARGZ = "containerd.io/snapshot/stargz";
  const nodes = version(2);

  const editing = (edit: Edit) => (toc: TocDocument) =>
    void edit(toc, (name) => toc.entries.find((entry) => entry.name === name)!);
  const layer = ({ tar, blob, descriptor }: ChunkedLayerFixture, annotations = {}): KitLayer =>
    layerOf(tar, blob, descriptor.mediaType, { ...descriptor.annotations, ...annotations });
  const annotated = (key: string, value: string) => () =>
    layer(zstdChunkedLayer(membersOf(nodes)), { [`${PODMAN}.${key}`]: value });
  const edited = (edit: Edit) => () => layer(zstdChunkedLayer(membersOf(nodes), { edit: editing(edit) }));
  const estargz =
    (edit: Edit, annotations = {}) =>
    () =>
      layer(estargzLayer(membersOf(nodes), { edit: editing(edit), codec: "gzip" }), annotations);
  const setting = (entry: object) => edited((_, entryOf) => Object.assign(entryOf("app/f7"), entry));

  const rows: [string, () => KitLayer][] = [
    ["has another digest", annotated("manifest-checksum", digestOf("another"))],
    ["lies outside the blob", annotated("manifest-position", "900000000:2000:9000:1")],
    ["would be huge", annotated("manifest-position", "100:2000:99999999999999:1")],
    ["has a tar-split that would be huge", annotated("tarsplit-position", "100:2000:99999999999:1")],
    [
      "has a tar-split of another tar",
      () =>
        layer(zstdChunkedLayer(membersOf(nodes), { editTarSplit: (lines) => lines.split("\n").slice(4).join("\n") })),
    ],
    ["names a file otherwise than the tar", setting({ name: "app/f77" })],
    ["gives a file another mode", setting({ mode: 0o777 })],
    ["gives a file another size", setting({ size: 2 ** 52 })],
    [
      "gives one file the content of another",
      edited((_, entryOf) => Object.assign(entryOf("app/f7"), { digest: entryOf("app/f8")["digest"] })),
    ],
    ["lets pieces overlap", setting({ offset: 10 })],
    ["takes a piece for zeros", setting({ chunkType: "zeros", chunkSize: 24_000 })],
    [NO_ENTRIES, edited((toc) => (toc.entries = []))],
    ["of eStargz has another digest", estargz(() => 0, { [`${ESTARGZ}/toc.digest`]: digestOf("another") })],
    [
      "of eStargz takes one file for another",
      estargz((_, entryOf) => Object.assign(entryOf("app/kept"), { chunkDigest: entryOf("app/large")["chunkDigest"] })),
    ],
    ["of eStargz has pieces that overlap", estargz((_, entryOf) => Object.assign(entryOf("app/f7"), { offset: 3 }))],
  ];

  it.each(rows.map(([what, build], at) => [what, driverOf(at), build] as const))(
    "that %s is found out, unpacked by %s",
    async (what, driver, build) => {
      const lying = await buildImage({ layers: [build()] });
      const { here, name } = await withName(driver, lying);
      const { how, fallbacks, bytes, why } = only(await here.pull(name));
      expect(how).toBe("full");
      // Where nothing of it is held, that alone is reason enough.
      expect(fallbacks.length).toBe(what === NO_ENTRIES ? 0 : 1);
      expect(fallbacks[0]?.reason ?? why).toMatch(/.{10}/);
      expect(bytes.network).toBeLessThan(2.1 * lying.layers[0]!.bytes.length);
      const differences = await imageFaults(here, lying, [nodes]);
      // These have two files more.
      expect(differences.filter((each) => !/no\.prefetch\.landmark|stargz\.index/.test(each))).toEqual([]);
      expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
    },
  );
});
