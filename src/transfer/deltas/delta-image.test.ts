/** What delta images say, held to itself before anything of them is fetched. */
import { expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { buildDeltaImage } from "../../../test/kit/images/delta-image.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { parseImageConfig } from "../../oci/config.ts";
import { parseManifest, type Manifest } from "../../oci/manifest.ts";
import { checkCommonLayers, readDeltaImage, type DeltaImage } from "./delta-image.ts";

const shared = [file("a", "x".repeat(2000))];
const [base, target] = await Promise.all([
  buildImage({ layers: [shared, [file("b", "old")]] }),
  buildImage({ layers: [shared, [file("b", "new")], [file("c", "too")]] }),
]);
const delta = await buildDeltaImage(base, target);

interface ManifestJson {
  readonly config: object;
  readonly layers: readonly { readonly digest: string }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

function read(image: KitImage, change: (manifest: ManifestJson) => object = (same) => same): DeltaImage {
  const changed = change(JSON.parse(image.bytes.toString()) as ManifestJson);
  const manifest = parseManifest(Buffer.from(JSON.stringify(changed))) as Manifest;
  return readDeltaImage(manifest, parseImageConfig(image.config.bytes));
}

const renamed =
  (at: number, digest: string) =>
  (manifest: ManifestJson): object => ({
    ...manifest,
    layers: manifest.layers.map((layer, index) => (index === at ? { ...layer, digest } : layer)),
  });

it("is read as it was made", () => {
  const image = read(delta);
  expect(image).toMatchObject({
    baseId: base.config.digest,
    base: base.layers.map(({ diffId }) => diffId),
    targetManifest: target.digest,
    layers: [{ isEmpty: true }, { isEmpty: false }, { isEmpty: false }],
  });
  expect(image.target.digest).toBe(target.config.digest);
  expect(image.layers.map(({ diffId, size }) => [diffId, size])).toEqual(
    target.layers.map(({ diffId, tar }) => [diffId, tar.length]),
  );
  const manifest = parseManifest(delta.bytes) as Manifest;
  const diffIds = base.layers.map(({ diffId }) => diffId);
  expect(() => checkCommonLayers(manifest, image, diffIds)).not.toThrow();
  expect(() => checkCommonLayers(manifest, image, diffIds.toReversed())).toThrow(/leaves out/);
});

it("has no layer by the name of what is made, which would be waited for by who makes it", () => {
  for (const layer of target.layers) {
    expect(() => read(delta, renamed(2, layer.diffId))).toThrow(/name of what it makes/);
  }
  expect(() => read(delta, renamed(1, target.config.digest))).toThrow(/name of what it makes/);
});

it("goes without annotations that say nothing sensible", () => {
  const annotations = { "dev.varve.delta.base": "sha256:none", "dev.varve.delta.target": "none" };
  expect(read(delta, (manifest) => ({ ...manifest, annotations }))).toMatchObject({
    base: undefined,
    targetManifest: undefined,
  });
  const many = Array.from({ length: 600 }, () => base.layers[0]?.diffId).join(" ");
  const named = { "dev.varve.delta.base": many };
  expect(read(delta, (manifest) => ({ ...manifest, annotations: named })).base).toBeUndefined();
});

it("has as many layers as its target", () => {
  expect(() => read(delta, (manifest) => ({ ...manifest, layers: manifest.layers.slice(1) }))).toThrow(/layers/);
});
