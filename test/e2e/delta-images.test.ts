/**
 * Deltas between images as people use them (formats "balena-delta" §9, "Test cases to own"): made on one machine, kept by Debian's docker-registry, and
 * pulled by machines that hold the base, on which the image is then what a plain pull of the target gives.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { DeltaCreated } from "../../src/transfer/deltas/create-types.ts";
import type { StoreReport } from "../../src/transfer/fsck.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { buildDelta } from "../kit/images/build-delta.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { buildLayer } from "../kit/images/build-layer.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startDockerRegistry, type DockerRegistry } from "../kit/peers/docker-registry.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { directory, file, hardlink, whiteout, type TreeNode } from "../kit/trees/tree-node.ts";
import { treeFaults } from "./chunked-bench.ts";
import { newMachine, type Machine } from "./machine.ts";
import { lacks } from "./peers/programs.ts";
import { storeFaults } from "./store-health.ts";

const DRIVERS = await usableDrivers();

const rng = createRng(57);
const SYSTEM = rng.text(400_000);
const MODEL = rng.bytes(150_000);
const NEW = rng.bytes(20_000);

/** Layers of the two versions: the lowest is common, one file moves up a layer, and the rest is changed here and there. */
const OLD: TreeNode[][] = [
  [directory("etc"), file("etc/release", "Debian 12\n"), file("shared", rng.bytes(60_000))],
  [directory("usr"), file("usr/system", SYSTEM), file("usr/model", MODEL), hardlink("usr/link", "usr/system")],
  [directory("srv"), file("srv/app", rng.text(100_000)), file("srv/gone", "x")],
];
const FRESH: TreeNode[][] = [
  OLD[0]!,
  [directory("usr"), file("usr/system", changed(SYSTEM)), hardlink("usr/link", "usr/system")],
  [directory("srv"), file("srv/app", changed(OLD[2]![1]!.content!)), file("srv/model", MODEL), file("srv/new", NEW)],
  [directory("srv"), whiteout("srv/gone")],
];
/** Compressed bytes of a delta between them. */
const MOST = NEW.length + 20_000;

function changed(content: Uint8Array): Buffer {
  const middle = content.length >> 1;
  return Buffer.concat([content.subarray(0, middle), Buffer.from("changed here\n"), content.subarray(middle)]);
}

describe.skipIf(lacks("docker-registry"))("through docker-registry", () => {
  let registry: DockerRegistry;
  let base: KitImage;
  let target: KitImage;
  let app: { readonly old: string; readonly fresh: string; readonly delta: string };
  let created: DeltaCreated;
  beforeAll(async () => {
    registry = await startDockerRegistry();
    base = await buildImage({ layers: OLD });
    target = await buildImage({ layers: FRESH });
    app = { old: await push("app", "1", base), fresh: await push("app", "2", target), delta: nameOf("app", "1-2") };
    await using here = await newMachine();
    await here.pull(app.old);
    await here.pull(app.fresh);
    created = (await here.ok("delta", "create", app.old, app.fresh, "--push", app.delta)) as DeltaCreated;
  });
  afterAll(() => registry.close());

  const nameOf = (repository: string, tag: string): string => `${registry.host}/${repository}:${tag}`;

  async function machine(driver = DRIVERS[0]!): Promise<Machine> {
    const made = await newMachine({ VARVE_SNAPSHOTTER: driver });
    onTestFinished(() => made[Symbol.asyncDispose]());
    return made;
  }

  async function push(repository: string, tag: string, image: KitImage): Promise<string> {
    await pushImage(registry.host, repository, tag, image);
    return nameOf(repository, tag);
  }

  /** The image is the target's, to the byte, and nothing of the delta is taken for it. */
  async function mustBeTarget(here: Machine, result: PullResult, image: KitImage, layers: readonly TreeNode[][]) {
    expect(result.imageId).toBe(image.config.digest);
    expect(result.layers.map(({ diffId }) => diffId)).toEqual(image.layers.map(({ diffId }) => diffId));
    expect(await treeFaults(here, image, layers)).toEqual([]);
    // Tars that are only held unpacked are no blobs, under whichever digest the manifest has them.
    const givenUp = image.layers.flatMap(({ diffId, descriptor }) => [diffId, descriptor.digest]);
    expect(await storeFaults(here.root, new Set<string>(givenUp))).toEqual([]);
    const { findings } = (await here.ok("fsck")) as StoreReport;
    expect(findings.filter(({ severity }) => severity !== "note")).toEqual([]);
  }

  it("a delta says what it is of, and costs less than the layers that it makes", () => {
    expect(created).toMatchObject({ baseId: base.config.digest, targetId: target.config.digest, helps: true });
    expect(created.layers.map(({ how }) => how)).toEqual(["common", "delta", "delta", "delta"]);
    expect(created.deltaBlobBytes).toBeLessThan(MOST);
  });

  it.each(DRIVERS)("a delta gives the target where the base is held, unpacked by %s", async (driver) => {
    const { old, fresh, delta } = app;
    const here = await machine(driver);
    await here.pull(old);
    const result = await here.pull(delta);
    expect(result.layers.map(({ how }) => how)).toEqual(["present", ...Array(3).fill("librsync-delta")]);
    expect(result.bytes.network).toBeLessThan(MOST);
    expect(result.deltaDigest).toBeDefined();
    expect(result.deltaDigest).not.toBe(result.digest);
    await mustBeTarget(here, result, target, FRESH);
    // Once more is nothing to do, and so is the target itself: its manifest is all that may come.
    expect(await here.pull(delta)).toMatchObject({ status: "up-to-date", imageId: target.config.digest });
    const plain = await here.pull(fresh);
    expect(plain).toMatchObject({ digest: target.digest, imageId: target.config.digest });
    expect(plain.layers.map(({ how }) => how)).toEqual(Array(4).fill("present"));
    expect(plain.bytes.network).toBeLessThan(5000);
    if (driver !== DRIVERS[0]) return;
    // Without the target it is made again.
    await here.ok("rm", delta, fresh);
    await here.ok("gc", "--partials-older-than", "0");
    await mustBeTarget(here, await here.pull(delta), target, FRESH);
  });

  it("a delta from a repository that has not the target gives it all the same", async () => {
    const here = await machine();
    await here.pull(app.old);
    const delta = await push("deltas", "1-2", await buildDelta(base, target));
    const result = await here.pull(delta);
    await mustBeTarget(here, result, target, FRESH);
    // What was made is an image like any other.
    const copied = `${registry.host}/elsewhere/app:2`;
    await here.ok("push", delta, copied);
    const other = await machine();
    const pulled = await other.pull(copied);
    expect(pulled.imageId).toBe(target.config.digest);
    expect(await treeFaults(other, target, FRESH)).toEqual([]);
  });

  it("a delta of balena's engine gives the target, although it tells less", async () => {
    const here = await machine();
    await here.pull(app.old);
    const delta = await push("balena", "delta", await buildDelta(base, target, { annotated: false }));
    await mustBeTarget(here, await here.pull(delta), target, FRESH);
  });

  it("the base may be in another store, with layers that only that one has", async () => {
    const { old, fresh, delta } = app;
    const [there, here] = [await machine(), await machine()];
    await there.pull(old);
    const result = await here.pull("--delta-root", there.root, delta);
    expect(result.bytes.network).toBeLessThan(MOST);
    await mustBeTarget(here, result, target, FRESH);
    // The layout of another tool has blobs only.
    const layout = join(there.path, "layout");
    await there.ok("copy", old, `oci:${layout}:base`);
    const third = await machine();
    const made = await third.pull("--delta-data-root", layout, delta);
    expect(made.bytes.network).toBeLessThan(MOST);
    await mustBeTarget(third, made, target, FRESH);
    expect(await third.pull(fresh)).toMatchObject({ digest: target.digest });
  });

  it("layers may be fewer, empty, or the same at other places", async () => {
    const empty = await buildLayer([]);
    const [one, two, three] = await Promise.all(OLD.map((nodes) => buildLayer(nodes)));
    const members = { one: OLD[0]!, two: OLD[1]!, three: OLD[2]! };
    const cases: [name: string, layers: KitImage["layers"], nodes: TreeNode[][]][] = [
      ["fewer", [one!], [members.one]],
      ["empty", [one!, empty, empty, two!], [members.one, [], [], members.two]],
      ["swapped", [two!, one!, three!], [members.two, members.one, members.three]],
      ["merged", [await buildLayer([...members.one, ...members.three])], [[...members.one, ...members.three]]],
    ];
    const here = await machine();
    await here.pull(app.old);
    for (const [name, layers, nodes] of cases) {
      const image = await buildImage({ layers });
      const delta = await push("shapes", name, await buildDelta(base, image));
      await mustBeTarget(here, await here.pull(delta), image, nodes);
      await here.ok("rm", delta);
    }
  });
});
