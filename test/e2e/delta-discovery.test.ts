/** Plain pulls that find deltas in their registry: used where they save something, passed over layer by layer where they do not lead there. */
import { describe, expect, it } from "vitest";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_FROM,
  DELTA_TARGET,
  DELTA_TO,
  oldDeltaTag,
  TAR_DIFF_MEDIA_TYPE,
} from "../../src/oci/delta-names.ts";
import { Digester } from "../../src/oci/digest.ts";
import { parseManifest } from "../../src/oci/manifest.ts";
import { MEDIA_TYPES } from "../../src/oci/media-types.ts";
import type { DriverName } from "../../src/snapshot/types.ts";
import { copyImage } from "../../src/transfer/copy.ts";
import { publishDeltas } from "../../src/transfer/deltas/publish/publish.ts";
import type { PublishedDelta } from "../../src/transfer/deltas/publish/types.ts";
import { HeldLayerTars } from "../../src/transfer/layer-tars/held-layer-tars.ts";
import { pull, type PullOptions } from "../../src/transfer/pull.ts";
import type { LayerResult, PullResult } from "../../src/transfer/pull-result.ts";
import { openSnapshots } from "../../src/transfer/snapshotter.ts";
import { at, describeBlob, opening, testClient } from "../kit/http/test-client.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { buildLayer, type KitLayer } from "../kit/images/build-layer.ts";
import { layerDelta } from "../kit/images/layer-delta.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { findPeer } from "../kit/peers.ts";
import { startDockerRegistry } from "../kit/peers/docker-registry.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { transferContext, type TestContext } from "../kit/store/transfer-context.ts";
import { directory, file } from "../kit/trees/tree-node.ts";

const DRIVERS = await usableDrivers();
const [DRIVER] = DRIVERS as [DriverName];
const rng = createRng(7);
const LOWER = rng.bytes(200_000);
const UPPER = [rng.bytes(150_000), rng.bytes(120_000)];
const NEW = rng.bytes(500);

/** A layer of one of the versions: bytes are put into the middle of a file. */
function layerOf(name: string, files: readonly Buffer[], version: number): Promise<KitLayer> {
  const [first, ...others] = files as [Buffer];
  const middle = Buffer.concat([Buffer.from(`version ${version}`), version > 1 ? NEW : Buffer.alloc(0)]);
  const changed = Buffer.concat([first.subarray(0, 70_000), middle, first.subarray(70_000)]);
  return buildLayer([directory(name), ...[changed, ...others].map((bytes, index) => file(`${name}/f${index}`, bytes))]);
}

async function imageOf(version: number): Promise<KitImage> {
  return buildImage({ layers: [await layerOf("lower", [LOWER], version), await layerOf("upper", UPPER, version)] });
}

const [v1, v2] = await Promise.all([imageOf(1), imageOf(2)]);
const [lower1, upper1] = v1.layers as [KitLayer, KitLayer];
const [lower2, upper2] = v2.layers as [KitLayer, KitLayer];

interface Machine {
  readonly context: TestContext;
  pull(name: string, options?: PullOptions): Promise<PullResult>;
}

async function machine(driver: DriverName = DRIVER): Promise<Machine> {
  const context = await transferContext();
  const snapshots = await openSnapshots(context.store, driver, { sync: false });
  const snapshotter = { choice: driver, open: () => Promise.resolve({ snapshots }) };
  return { context, pull: (name, options) => pull({ ...context, snapshotter }, name, options) };
}

/** A registry with both versions, and a machine that holds the first. */
async function prepared({ host }: { readonly host: string }, driver?: DriverName) {
  await pushImage(host, "team/app", "v1", v1);
  await pushImage(host, "team/app", "v2", v2);
  const here = await machine(driver);
  await here.pull(`${host}/team/app:v1`);
  return { here, name: `${host}/team/app:v2` };
}

async function publish(host: string, ...deltas: PublishedDelta[]): Promise<void> {
  await using registry = testClient();
  const { signal } = new AbortController();
  const base = v1.layers.map(({ diffId }) => diffId);
  await publishDeltas({ registry, signal, onProgress: () => {} }, at(host), { target: v2.descriptor, base, deltas });
}

/** Digest of the tar of each layer of an image, as a machine holds it. */
async function heldTars({ context }: Machine, { layers }: KitImage): Promise<string[]> {
  await using tars = new HeldLayerTars(context);
  const digests: string[] = [];
  for (const { diffId } of layers) {
    await using tar = await tars.open(diffId);
    const bytes = new Uint8Array(tar.size);
    await tar.read(bytes, 0);
    digests.push(new Digester().update(bytes).digest());
  }
  return digests;
}

const hows = ({ layers }: PullResult): LayerResult["how"][] => layers.map(({ how }) => how);
const diffIds = v2.layers.map(({ diffId }) => diffId);
const isMissing = findPeer("docker-registry") === undefined;

describe.each(["kit", "docker-registry"] as const)("deltas in a registry (%s)", (kind) => {
  const start = () => (kind === "kit" ? startRegistry() : startDockerRegistry());

  it.skipIf(kind === "docker-registry" && isMissing).each(kind === "kit" ? DRIVERS : [DRIVER])(
    "are found and used by who holds their base, as planned (%s)",
    async (driver) => {
      await using registry = await start();
      const { here, name } = await prepared(registry, driver);
      const lower = await layerDelta("tar-diff", [lower1], lower2);
      const upper = await layerDelta("librsync-delta", v1.layers, upper2);
      await publish(registry.host, lower, upper);
      const plan = await here.pull(name, { plan: true });
      const result = await here.pull(name);
      expect(hows(plan)).toEqual(["tar-diff", "librsync-delta"]);
      expect(hows(result)).toEqual(hows(plan));
      expect(result.layers).toMatchObject(
        [lower, upper].map(({ blob }) => ({
          fallbacks: [],
          requests: 1,
          unpack: "unpacked",
          bytes: { network: blob.size },
        })),
      );
      for (const [index, { bytes }] of result.layers.entries()) {
        expect(bytes.local + bytes.data + bytes.zero).toBeGreaterThanOrEqual(v2.layers[index]!.tar.length);
        expect(bytes.network).toBeLessThan(5000);
        expect(plan.layers[index]!.bytes.network).toBe(bytes.network);
      }
      // All that was asked counts, the search too.
      expect(result.bytes.network).toBe(plan.bytes.network);
      expect(result.requests).toBeGreaterThan(4);
      // Where layers are kept as their tars.
      if (driver === "erofs") expect(await heldTars(here, v2)).toEqual(diffIds);
      expect(await here.pull(name)).toMatchObject({ status: "up-to-date", requests: 1 });
    },
  );
});

describe("a pull with deltas", () => {
  it("takes the smallest that leads there, and tells which did not", async () => {
    await using registry = await startRegistry();
    const { here, name } = await prepared(registry);
    const good = await layerDelta("tar-diff", [lower1], lower2);
    const other = await layerDelta("tar-diff", [lower1], upper2);
    const broken = [
      // Of another layer; no delta at all; cut short.
      await layerDelta("tar-diff", [lower1], lower2, { delta: (await layerDelta("tar-diff", [lower1], lower1)).delta }),
      await layerDelta("tar-diff", [lower1], lower2, { bytes: Buffer.from("nonsense") }),
      await layerDelta("librsync-delta", v1.layers, lower2, { delta: Buffer.from("rs\u00026") }),
    ];
    expect(Math.max(...broken.map(({ blob }) => blob.size))).toBeLessThan(good.blob.size);
    await publish(registry.host, ...broken, good, other);
    const result = await here.pull(name);
    const [lower, upper] = result.layers as [LayerResult, LayerResult];
    expect(lower.how).toBe("tar-diff");
    expect(lower.fallbacks.map(({ from }) => from).toSorted()).toEqual(["librsync-delta", "tar-diff", "tar-diff"]);
    expect(lower.fallbacks.map(({ reason }) => reason)).toEqual(
      expect.arrayContaining([expect.stringContaining("DELTA_INVALID"), expect.stringContaining("DIFFID_MISMATCH")]),
    );
    // What would save nothing is no failure.
    expect(upper).toMatchObject({ how: "full", fallbacks: [], why: expect.stringContaining("would save too little") });
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });

  it("falls back to the blob of a layer whose deltas fail, and of no other", async () => {
    await using registry = await startRegistry({ quirks: { credulous: true } });
    const { here, name } = await prepared(registry);
    const wrong = (await layerDelta("librsync-delta", v1.layers, lower1)).delta;
    const upper = await layerDelta("librsync-delta", v1.layers, upper2);
    await publish(registry.host, await layerDelta("librsync-delta", v1.layers, lower2, { delta: wrong }), upper);
    const before = registry.requests.length;
    const result = await here.pull(name);
    expect(hows(result)).toEqual(["full", "librsync-delta"]);
    // All that was asked and all that came counts, of the search too.
    const asked = registry.requests.slice(before);
    expect(result.requests).toBe(asked.length);
    expect(result.bytes.network).toBe(asked.reduce((total, { sent }) => total + sent, 0));
    expect(result.layers[0]!.fallbacks).toEqual([
      { from: "librsync-delta", reason: expect.stringContaining("DIFFID_MISMATCH") },
    ]);
    expect(result.layers[1]!.fallbacks).toEqual([]);
    const told = here.context.events.filter(({ type }) => type === "fallback");
    expect(told).toMatchObject([{ digest: lower2.descriptor.digest, from: "librsync-delta" }]);
    // What came in vain counts too.
    expect(result.layers[0]!.bytes.network).toBeGreaterThan(lower2.descriptor.size);
  });

  it("goes on without a delta that is listed and not there", async () => {
    await using registry = await startRegistry();
    const { here, name } = await prepared(registry);
    const lost = await layerDelta("tar-diff", [lower1], lower2);
    await publish(registry.host, lost, await layerDelta("tar-diff", [upper1], upper2));
    const path = `${registry.url}/v2/team/app/blobs/${lost.blob.digest}`;
    expect((await fetch(path, { method: "DELETE" })).status).toBe(202);
    const result = await here.pull(name);
    expect(hows(result)).toEqual(["full", "tar-diff"]);
    expect(result.layers[0]!.fallbacks).toMatchObject([{ reason: expect.stringContaining("BLOB_UNKNOWN") }]);
  });

  it("takes the smaller one where two bases are held, and none whose base is not", async () => {
    await using registry = await startRegistry();
    const { here, name } = await prepared(registry);
    const near = await imageOf(3);
    await pushImage(registry.host, "team/app", "v3", near);
    await here.pull(`${registry.host}/team/app:v3`);
    const [nearLower] = near.layers as [KitLayer];
    const best = await layerDelta("tar-diff", [nearLower], lower2);
    const other = await layerDelta("tar-diff", [lower1], lower2);
    expect(best.blob.size).toBeLessThan(other.blob.size);
    const lying = await layerDelta("tar-diff", [lower1], upper2, { base: [lower2.diffId] });
    await publish(registry.host, other, lying);
    await publish(registry.host, best);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([
      { how: "tar-diff", bytes: { network: best.blob.size } },
      { how: "full", fallbacks: [] },
    ]);
  });

  it("knows bases and targets by the digests of their blobs, as others write them", async () => {
    await using registry = await startRegistry();
    const { here, name } = await prepared(registry);
    const { blob, open } = await layerDelta("tar-diff", [upper1], upper2);
    await using client = testClient();
    const sink = client.uploads(at(registry.host));
    await sink.putBlob({ mediaType: "", ...blob }, open);
    const config = { ...describeBlob(Buffer.from("{}")), mediaType: DELTA_CONFIG_MEDIA_TYPE };
    await sink.putBlob(config, opening(Buffer.from("{}")));
    const annotations = { [DELTA_FROM]: upper1.descriptor.digest, [DELTA_TO]: upper2.descriptor.digest };
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config,
      layers: [{ mediaType: TAR_DIFF_MEDIA_TYPE, ...blob, annotations }],
      annotations: { [DELTA_TARGET]: v2.digest },
    };
    await sink.putManifest(parseManifest(Buffer.from(JSON.stringify(manifest))), oldDeltaTag(v2.digest));
    expect(hows(await here.pull(name))).toEqual(["full", "tar-diff"]);
  });

  it("asks for none where nothing is held, nothing is missing, or none are wanted", async () => {
    await using registry = await startRegistry();
    const { here, name } = await prepared(registry);
    await publish(registry.host, await layerDelta("tar-diff", [lower1], lower2));
    const asked = (): string[] =>
      registry.requests.map(({ path }) => path).filter((path) => /referrers|delta/.test(path));
    registry.clearRequests();
    const fresh = await machine();
    expect(hows(await fresh.pull(name))).toEqual(["full", "full"]);
    await fresh.pull(name);
    expect(hows(await here.pull(name, { delta: "never" }))).toEqual(["full", "full"]);
    expect(asked()).toEqual([]);
  });

  it("takes no other way where only deltas are wanted", async () => {
    await using registry = await startRegistry();
    const { here, name } = await prepared(registry);
    await publish(registry.host, await layerDelta("tar-diff", [lower1], lower2));
    for (const plan of [true, false]) {
      await expect(here.pull(name, { delta: "always", plan })).rejects.toMatchObject({
        code: "DELTA_NOT_FOUND",
        message: expect.stringContaining(upper2.descriptor.digest),
      });
    }
    // One that is larger than the blob.
    await publish(registry.host, await layerDelta("tar-diff", [lower1], upper2));
    expect(hows(await here.pull(name, { delta: "always" }))).toEqual(["tar-diff", "tar-diff"]);
  });

  it("finds deltas that came along with a copy of the image", async () => {
    await using registry = await startRegistry();
    await using other = await startRegistry({ quirks: { referrers: false } });
    const { name } = await prepared(registry);
    const { here } = await prepared(other);
    await publish(registry.host, await layerDelta("librsync-delta", v1.layers, lower2));
    await copyImage(here.context, `docker://${name}`, `docker://${other.host}/team/app:v2`, { referrers: true });
    expect(hows(await here.pull(`${other.host}/team/app:v2`))).toEqual(["librsync-delta", "full"]);
  });
});
