/** Deltas that a pull finds: by referrers, index and old tag; only of what is held; and at no cost where there is nothing to find. */
import { describe, expect, it } from "vitest";
import { startFaultProxy } from "../../../../test/kit/faults/fault-proxy.ts";
import { buildImage, type KitImage } from "../../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../../test/kit/images/push-image.ts";
import { at, noise, opening } from "../../../../test/kit/http/test-client.ts";
import { startRegistry, type KitRegistry } from "../../../../test/kit/registry/registry.ts";
import type { RegistryQuirks } from "../../../../test/kit/registry/quirks.ts";
import { transferContext, type TestContext } from "../../../../test/kit/store/transfer-context.ts";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_FROM,
  DELTA_INDEX_TAG,
  DELTA_TARGET,
  DELTA_TO,
  oldDeltaTag,
  TAR_DIFF_MEDIA_TYPE,
} from "../../../oci/delta-names.ts";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import { parseManifest } from "../../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../../oci/media-types.ts";
import { Tally } from "../../tally.ts";
import { publishDeltas } from "../publish/publish.ts";
import type { PublishedDelta } from "../publish/types.ts";
import { DELTA_CONFIG, writeDeltaManifest } from "../publish/write-manifest.ts";
import type { LayerDelta, LayerTars } from "../types.ts";
import { holdsOthers } from "./holds-others.ts";
import { RegistryDeltas } from "./registry-deltas.ts";

const image = await buildImage({
  layers: ["a", "b"].map((name) => [{ path: name, type: "file", content: Buffer.from(name) }] as const),
});
const [lower, upper] = image.layers.map(({ diffId }) => diffId) as [Digest, Digest];
const HELD = digestOf("a layer that is held");
const HELD_TOO = digestOf("another one");
const HELD_BLOB = digestOf("the blob of the first");

/** Of which only this is asked. */
function tars(...held: Digest[]): LayerTars {
  return { has: (diffId: Digest) => Promise.resolve(held.includes(diffId)) } as unknown as LayerTars;
}

async function remember({ store }: TestContext, digest: Digest, diffId: Digest): Promise<void> {
  const facts = { mediaType: MEDIA_TYPES.ociLayerGzip, size: 1, uncompressedSize: 1, entries: 1 };
  await store.layers.put({ digest, diffId, ...facts, verifiedAt: new Date() });
}

/** A store that has had layers, and a registry with the image. */
async function prepared(quirks: RegistryQuirks = {}) {
  const context = await transferContext();
  const registry = await startRegistry({ quirks });
  await pushImage(registry.host, "team/app", "v1", image);
  await remember(context, HELD_BLOB, HELD);
  return { context, registry };
}

function delta(size: number, how: LayerDelta["how"], base: readonly Digest[], to: Digest = upper): PublishedDelta {
  const bytes = noise(size, `${how} ${base.join()} ${to}`);
  return { how, blob: { digest: digestOf(bytes), size }, base, to, size: 2048, open: opening(bytes) };
}

async function publish(context: TestContext, { host }: KitRegistry, ...deltas: PublishedDelta[]): Promise<void> {
  const base = [...new Set(deltas.flatMap((one) => one.base))];
  await publishDeltas(context, at(host), { target: image.descriptor, base, deltas });
}

interface FindOptions {
  readonly held?: readonly Digest[];
  readonly tally?: Tally;
  readonly longestMs?: number;
  readonly of?: KitImage;
}

async function find(
  context: TestContext,
  { host }: KitRegistry,
  { held = [HELD, HELD_TOO], tally = new Tally(), of = image, longestMs }: FindOptions = {},
): Promise<(readonly LayerDelta[])[]> {
  const reference = at(host);
  const manifest = parseManifest(of.bytes);
  if (manifest.kind !== "manifest") throw new Error("not a manifest");
  const config = { rootfs: { type: "layers", diffIds: of.layers.map(({ diffId }) => diffId) } } as const;
  const options = {
    image: { reference, manifest, config },
    tars: async () => tars(...held),
    tally,
    ...(longestMs !== undefined && { longestMs }),
  };
  await using deltas = new RegistryDeltas(context, options);
  const found: (readonly LayerDelta[])[] = [];
  for (const { descriptor, diffId } of of.layers) {
    found.push(await deltas.of({ reference, blob: descriptor, diffId }));
  }
  return found;
}

/** What other programs put, under any name. */
async function put(context: TestContext, { host }: KitRegistry, document: object, tag?: string): Promise<Digest> {
  const mediaType = "manifests" in document ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest;
  const manifest = parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document })));
  const sink = context.registry.uploads(at(host));
  await sink.putBlob(config, opening(DELTA_CONFIG));
  await sink.putManifest(manifest, tag);
  return manifest.digest;
}

const config = { mediaType: DELTA_CONFIG_MEDIA_TYPE, digest: digestOf(DELTA_CONFIG), size: DELTA_CONFIG.length };

/** A delta manifest as other programs write it, which no registry checks the parts of here. */
function foreign(from: Digest, to: Digest, size: number) {
  const annotations = { [DELTA_FROM]: from, [DELTA_TO]: to };
  const layers = [{ mediaType: TAR_DIFF_MEDIA_TYPE, digest: digestOf(`${from} ${to}`), size, annotations }];
  return { config, layers, annotations: { [DELTA_TARGET]: image.digest } };
}

describe("deltas of a registry", () => {
  it.each([true, false])(
    "are found by who holds all that they are from, the smallest first (referrers: %s)",
    async (referrers) => {
      const { context, registry } = await prepared({ referrers });
      await using _registry = registry;
      const [small, large] = [delta(900, "librsync-delta", [HELD, HELD_TOO]), delta(2000, "tar-diff", [HELD])];
      const none = digestOf("a layer that is not held");
      await publish(context, registry, large, delta(100, "librsync-delta", [HELD, none]));
      await publish(context, registry, small, delta(50, "tar-diff", [none]));
      const tally = new Tally();
      registry.clearRequests();
      const [ofLower, ofUpper] = await find(context, registry, { tally });
      expect(ofLower).toEqual([]);
      expect(ofUpper).toEqual(
        [small, large].map(({ how, blob, base, size }) =>
          expect.objectContaining({
            how,
            diffId: upper,
            reference: at(registry.host),
            base,
            size,
            blob: expect.objectContaining(blob),
          }),
        ),
      );
      // The lists once, in whatever form; two manifests; and all of it is counted.
      expect(tally.requests).toBe(registry.requests.length);
      expect(tally.requests).toBe(referrers ? 4 : 5);
      expect(tally.network).toBeGreaterThan(1000);
      expect(tally.warnings).toEqual([]);
    },
  );

  it("are of no use where nothing is held but the image's own layers", async () => {
    const { store, ...context } = await transferContext();
    expect(await holdsOthers(store, new Set())).toBe(false);
    await remember({ store, ...context }, image.layers[0]!.descriptor.digest, lower);
    expect(await holdsOthers(store, new Set([lower, upper]))).toBe(false);
    expect(await holdsOthers(store, new Set([upper]))).toBe(true);
    await remember({ store, ...context }, HELD_BLOB, HELD);
    expect(await holdsOthers(store, new Set([lower, upper]))).toBe(true);
  });

  it("are not read where their manifest says that nothing of its base is held", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    await publish(context, registry, delta(100, "tar-diff", [digestOf("not held")]));
    registry.clearRequests();
    expect(await find(context, registry)).toEqual([[], []]);
    expect(registry.requests.map(({ path }) => path)).toHaveLength(2);
  });

  it("are found under the old tag, by digests of blobs in place of DiffIDs", async () => {
    const { context, registry } = await prepared({ credulous: true });
    await using _registry = registry;
    const blob = image.layers[1]!.descriptor.digest;
    await put(context, registry, foreign(HELD_BLOB, blob, 77), oldDeltaTag(image.digest));
    const [ofLower, [found]] = (await find(context, registry)) as [LayerDelta[], LayerDelta[]];
    expect(ofLower).toEqual([]);
    expect(found).toMatchObject({ how: "tar-diff", diffId: upper, base: [HELD], blob: { size: 77 } });
    expect(found).not.toHaveProperty("size");
  });

  it("are found in an index, whatever else is in it", async () => {
    const { context, registry } = await prepared({ credulous: true });
    await using _registry = registry;
    const digest = await put(context, registry, foreign(HELD, upper, 77));
    const other = await put(context, registry, foreign(HELD, upper, 55));
    const entry = { mediaType: MEDIA_TYPES.ociManifest, digest, size: JSON.stringify(1).length };
    const size = (await context.registry.resolve(at(registry.host, `team/app@${digest}`))).size;
    const annotations = { [DELTA_TARGET]: image.digest };
    const manifests = [
      { ...entry, size, annotations: { [DELTA_TARGET]: digestOf("another image") } },
      { ...entry, size },
      { ...entry, size, mediaType: "application/vnd.odd", annotations },
      { ...entry, digest: digestOf("not there"), annotations },
      { ...entry, size, annotations },
      { ...entry, size, annotations },
      { ...entry, digest: other, size, annotations },
    ];
    await put(context, registry, { manifests }, DELTA_INDEX_TAG);
    const [, found] = await find(context, registry);
    expect(found?.map(({ blob }) => blob.size)).toEqual([55, 77]);
  });
});

describe("what a registry has in place of deltas", () => {
  const broken: [string, (context: TestContext, registry: KitRegistry) => Promise<unknown>, RegExp][] = [
    [
      "deltas for another image",
      (context, registry) => {
        const document = { ...foreign(HELD, upper, 7), annotations: { [DELTA_TARGET]: digestOf("other") } };
        return put(context, registry, document, oldDeltaTag(image.digest));
      },
      /DELTA_INVALID.*has no deltas for/,
    ],
    [
      "no deltas",
      (context, registry) => {
        const document = { ...foreign(HELD, upper, 7), config: { ...config, mediaType: MEDIA_TYPES.ociEmpty } };
        return put(context, registry, document, oldDeltaTag(image.digest));
      },
      /DELTA_INVALID.*none of deltas/,
    ],
    [
      "a delta by the name of what it is to make",
      (context, registry) => {
        const document = foreign(HELD, upper, 7);
        const layers = [{ ...document.layers[0]!, digest: lower }];
        return put(context, registry, { ...document, layers }, oldDeltaTag(image.digest));
      },
      /DELTA_INVALID.*part of the image/,
    ],
    [
      "too many",
      (context, registry) => {
        const [layer] = foreign(HELD, upper, 7).layers;
        const document = { ...foreign(HELD, upper, 7), layers: Array.from({ length: 2001 }, () => layer) };
        return put(context, registry, document, oldDeltaTag(image.digest));
      },
      /DELTA_INVALID.*2001 deltas/,
    ],
    [
      "an index of more than 4 MiB",
      async (_context, registry) => {
        registry.setQuirks({ headers: {}, credulous: true, manifestLimit: 1 << 30 });
        const url = `${registry.url}/v2/team/app/manifests/${DELTA_INDEX_TAG}`;
        const body = JSON.stringify({
          schemaVersion: 2,
          mediaType: MEDIA_TYPES.ociIndex,
          manifests: [],
          pad: "x".repeat(5 << 20),
        });
        const answer = await fetch(url, { method: "PUT", body, headers: { "content-type": MEDIA_TYPES.ociIndex } });
        expect(answer.status).toBe(201);
      },
      /MANIFEST_TOO_LARGE/,
    ],
  ];

  it.each(broken)("%s, is told of once and passed over", async (_, plant, told) => {
    const { context, registry } = await prepared({ credulous: true });
    await using _registry = registry;
    await plant(context, registry);
    const tally = new Tally();
    expect(await find(context, registry, { tally })).toEqual([[], []]);
    expect(tally.warnings).toEqual([expect.stringMatching(told)]);
    expect(context.events.filter(({ type }) => type === "warning")).toHaveLength(1);
  });

  it("is no news where one way has trouble and another has deltas", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    await publish(context, registry, delta(100, "tar-diff", [HELD]));
    registry.setQuirks({ referrers: 500 });
    const tally = new Tally();
    expect(await find(context, registry, { tally })).toEqual([[], [expect.anything()]]);
    expect(tally.warnings).toEqual([]);
  });

  it("does not keep who waits for it, and what else there is comes all the same", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    await using proxy = await startFaultProxy({ target: registry.host });
    await publish(context, registry, delta(100, "tar-diff", [HELD]));
    const longestMs = 500;
    proxy.setRules([{ path: /referrers/, fault: { kind: "stall", afterBytes: 0 } }]);
    expect(await find(context, { ...registry, host: proxy.host }, { longestMs })).toEqual([[], [expect.anything()]]);
    proxy.setRules([{ path: /referrers|delta/, fault: { kind: "stall", afterBytes: 0 } }]);
    const tally = new Tally();
    expect(await find(context, { ...registry, host: proxy.host }, { tally, longestMs })).toEqual([[], []]);
    expect(tally.warnings).toEqual([expect.stringContaining("has not answered within")]);
  });

  it("is nothing where who asks may not know", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    registry.setQuirks({ referrers: 403 });
    const tally = new Tally();
    expect(await find(context, registry, { tally })).toEqual([[], []]);
    expect(tally.warnings).toEqual([]);
  });

  it("does not stop who stops the pull", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    const stopped = { ...context, signal: AbortSignal.abort(new Error("stopped")) };
    await expect(find(stopped, registry)).rejects.toThrow("stopped");
  });
});

describe("a delta manifest", () => {
  it("of equal deltas has equal bytes", () => {
    const deltas = [delta(10, "tar-diff", [HELD]), delta(20, "librsync-delta", [HELD, HELD_TOO], lower)];
    const written = writeDeltaManifest(image.descriptor, [HELD, HELD_TOO], deltas);
    expect(writeDeltaManifest({ ...image.descriptor }, [HELD, HELD_TOO], [...deltas]).digest).toBe(written.digest);
    expect(JSON.parse(Buffer.from(written.bytes).toString("utf8"))).toMatchObject({
      artifactType: DELTA_CONFIG_MEDIA_TYPE,
      config: { digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", size: 2 },
      annotations: { [DELTA_TARGET]: image.digest },
      layers: [{ annotations: { [DELTA_FROM]: HELD, [DELTA_TO]: upper } }, { annotations: { [DELTA_TO]: lower } }],
    });
  });
});
