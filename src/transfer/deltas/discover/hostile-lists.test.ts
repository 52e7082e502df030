/** Lists of deltas that are broken, lie, do not come or may not be seen: told of at most, and no reason not to have the image. */
import { describe, expect, it } from "vitest";
import { startFaultProxy } from "../../../../test/kit/faults/fault-proxy.ts";
import {
  DELTA_CONFIG_BLOB,
  findListed,
  foreignDelta,
  HELD,
  image,
  lower,
  prepared,
  publishFor,
  putForeign,
  someDelta,
  upper,
} from "../../../../test/kit/images/listed-deltas.ts";
import type { KitRegistry } from "../../../../test/kit/registry/registry.ts";
import type { TestContext } from "../../../../test/kit/store/transfer-context.ts";
import { DELTA_INDEX_TAG, DELTA_TARGET, oldDeltaTag } from "../../../oci/delta-names.ts";
import { digestOf } from "../../../oci/digest.ts";
import { MEDIA_TYPES } from "../../../oci/media-types.ts";
import { Tally } from "../../tally.ts";

describe("what a registry has in place of deltas", () => {
  const broken: [string, (context: TestContext, registry: KitRegistry) => Promise<unknown>, RegExp][] = [
    [
      "deltas for another image",
      (context, registry) => {
        const document = { ...foreignDelta(HELD, upper, 7), annotations: { [DELTA_TARGET]: digestOf("other") } };
        return putForeign(context, registry, document, oldDeltaTag(image.digest));
      },
      /DELTA_INVALID.*has no deltas for/,
    ],
    [
      "no deltas",
      (context, registry) => {
        const document = {
          ...foreignDelta(HELD, upper, 7),
          config: { ...DELTA_CONFIG_BLOB, mediaType: MEDIA_TYPES.ociEmpty },
        };
        return putForeign(context, registry, document, oldDeltaTag(image.digest));
      },
      /DELTA_INVALID.*none of deltas/,
    ],
    [
      "a delta by the name of what it is to make",
      (context, registry) => {
        const document = foreignDelta(HELD, upper, 7);
        const layers = [{ ...document.layers[0]!, digest: lower }];
        return putForeign(context, registry, { ...document, layers }, oldDeltaTag(image.digest));
      },
      /DELTA_INVALID.*part of the image/,
    ],
    [
      "too many",
      (context, registry) => {
        const [layer] = foreignDelta(HELD, upper, 7).layers;
        const document = { ...foreignDelta(HELD, upper, 7), layers: Array.from({ length: 2001 }, () => layer) };
        return putForeign(context, registry, document, oldDeltaTag(image.digest));
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
    expect(await findListed(context, registry, { tally })).toEqual([[], []]);
    expect(tally.warnings).toEqual([expect.stringMatching(told)]);
    expect(context.events.filter(({ type }) => type === "warning")).toHaveLength(1);
  });

  it("is no news where one way has trouble and another has deltas", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    await publishFor(context, registry, someDelta(100, "tar-diff", [HELD]));
    registry.setQuirks({ referrers: 500 });
    const tally = new Tally();
    expect(await findListed(context, registry, { tally })).toEqual([[], [expect.anything()]]);
    expect(tally.warnings).toEqual([]);
  });

  it("does not keep who waits for it, and what else there is comes all the same", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    await using proxy = await startFaultProxy({ target: registry.host });
    await publishFor(context, registry, someDelta(100, "tar-diff", [HELD]));
    const longestMs = 500;
    proxy.setRules([{ path: /referrers/, fault: { kind: "stall", afterBytes: 0 } }]);
    expect(await findListed(context, { ...registry, host: proxy.host }, { longestMs })).toEqual([
      [],
      [expect.anything()],
    ]);
    proxy.setRules([{ path: /referrers|delta/, fault: { kind: "stall", afterBytes: 0 } }]);
    const tally = new Tally();
    expect(await findListed(context, { ...registry, host: proxy.host }, { tally, longestMs })).toEqual([[], []]);
    expect(tally.warnings).toEqual([expect.stringContaining("has not answered within")]);
  });

  it("is nothing where who asks may not know", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    registry.setQuirks({ referrers: 403 });
    const tally = new Tally();
    expect(await findListed(context, registry, { tally })).toEqual([[], []]);
    expect(tally.warnings).toEqual([]);
  });

  it("does not stop who stops the pull", async () => {
    const { context, registry } = await prepared();
    await using _registry = registry;
    const stopped = { ...context, signal: AbortSignal.abort(new Error("stopped")) };
    await expect(findListed(stopped, registry)).rejects.toThrow("stopped");
  });
});
