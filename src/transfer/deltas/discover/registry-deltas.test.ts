/** Deltas that a pull finds: by referrers, index and old tag; only of what is held; and what it asks for that. */
import { describe, expect, it } from "vitest";
import { at } from "../../../../test/kit/http/test-client.ts";
import {
  findListed,
  foreignDelta,
  HELD,
  HELD_BLOB,
  HELD_TOO,
  image,
  lower,
  prepared,
  publishFor,
  putForeign,
  remember,
  someDelta,
  upper,
} from "../../../../test/kit/images/listed-deltas.ts";
import { transferContext } from "../../../../test/kit/store/transfer-context.ts";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_FROM,
  DELTA_INDEX_TAG,
  DELTA_TARGET,
  DELTA_TO,
  oldDeltaTag,
} from "../../../oci/delta-names.ts";
import { digestOf } from "../../../oci/digest.ts";
import { MEDIA_TYPES } from "../../../oci/media-types.ts";
import { Tally } from "../../tally.ts";
import { writeDeltaManifest } from "../publish/write-manifest.ts";
import type { LayerDelta } from "../types.ts";
import { holdsOthers } from "./holds-others.ts";

describe("deltas of a registry", () => {
  it.each([true, false])(
    "are found by who holds all that they are from, the smallest first (referrers: %s)",
    async (referrers) => {
      const { context, registry } = await prepared({ referrers });
      await using _registry = registry;
      const [small, large] = [someDelta(900, "librsync-delta", [HELD, HELD_TOO]), someDelta(2000, "tar-diff", [HELD])];
      const none = digestOf("a layer that is not held");
      await publishFor(context, registry, large, someDelta(100, "librsync-delta", [HELD, none]));
      await publishFor(context, registry, small, someDelta(50, "tar-diff", [none]));
      const tally = new Tally();
      registry.clearRequests();
      const [ofLower, ofUpper] = await findListed(context, registry, { tally });
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
      expect(tally.requests).toBe(referrers ? 5 : 6);
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
    await publishFor(context, registry, someDelta(100, "tar-diff", [digestOf("not held")]));
    registry.clearRequests();
    expect(await findListed(context, registry)).toEqual([[], []]);
    expect(registry.requests.map(({ path }) => path)).toHaveLength(3);
  });

  it("are found under the old tag, by digests of blobs in place of DiffIDs", async () => {
    const { context, registry } = await prepared({ credulous: true });
    await using _registry = registry;
    const blob = image.layers[1]!.descriptor.digest;
    await putForeign(context, registry, foreignDelta(HELD_BLOB, blob, 77), oldDeltaTag(image.digest));
    const [ofLower, [found]] = (await findListed(context, registry)) as [LayerDelta[], LayerDelta[]];
    expect(ofLower).toEqual([]);
    expect(found).toMatchObject({ how: "tar-diff", diffId: upper, base: [HELD], blob: { size: 77 } });
    expect(found).not.toHaveProperty("size");
  });

  it("are found in an index, whatever else is in it", async () => {
    const { context, registry } = await prepared({ credulous: true });
    await using _registry = registry;
    const digest = await putForeign(context, registry, foreignDelta(HELD, upper, 77));
    const other = await putForeign(context, registry, foreignDelta(HELD, upper, 55));
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
    await putForeign(context, registry, { manifests }, DELTA_INDEX_TAG);
    const [, found] = await findListed(context, registry);
    expect(found?.map(({ blob }) => blob.size)).toEqual([55, 77]);
  });
});

describe("a delta manifest", () => {
  it("of equal deltas has equal bytes", () => {
    const deltas = [someDelta(10, "tar-diff", [HELD]), someDelta(20, "librsync-delta", [HELD, HELD_TOO], lower)];
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
