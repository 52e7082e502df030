/** Delta images that are broken in every way: what they end in, and that nothing of them stands in the way of a right one. */
import { expect, it } from "vitest";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { buildDeltaImage, type DeltaImageOptions } from "../../../test/kit/images/delta-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { pullBench, type PullBench } from "../../../test/kit/snapshot/pull-bench.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { directory, file } from "../../../test/kit/trees/tree-node.ts";
import { digestOf } from "../../oci/digest.ts";

const DRIVERS = await usableDrivers();
const [DRIVER = "copy"] = DRIVERS;

const rng = createRng(71);
const content = (at: number): Buffer => CONTENT[at] ?? Buffer.alloc(0);
const CONTENT = Array.from({ length: 6 }, (_, at) => rng.bytes(90_000 + at * 1000));
const NEWS = rng.bytes(20_000);

const common = [directory("lib"), file("lib/a", content(0)), file("lib/b", content(1))];
const before = [directory("app"), ...CONTENT.slice(2).map((bytes, at) => file(`app/f${at}`, bytes))];
const after = [directory("app"), file("app/f0", Buffer.concat([NEWS, content(2)])), file("app/moved", content(4))];
const added = [file("added", content(1))];

const [base, target] = await Promise.all([
  buildImage({ layers: [common, before] }),
  buildImage({ layers: [common, after, added] }),
]);

async function pulled(here: PullBench, delta: DeltaImageOptions = {}): ReturnType<PullBench["pull"]> {
  await here.push("base", base);
  await here.pull("base");
  await here.push("delta", await buildDeltaImage(base, target, delta));
  return here.pull("delta");
}

const other = buildImage({ layers: [[file("other", rng.bytes(5000))]] });
const cases: [string, string, () => DeltaImageOptions | Promise<DeltaImageOptions>][] = [
  [
    "has a wrong magic",
    "DELTA_INVALID",
    () => ({ spoil: (delta) => Buffer.concat([Buffer.alloc(4, 9), delta.subarray(4)]) }),
  ],
  ["is cut short", "DELTA_INVALID", () => ({ spoil: (delta) => delta.subarray(0, -5) })],
  [
    "has a command that means nothing",
    "DELTA_INVALID",
    () => ({ spoil: (delta) => Buffer.concat([delta.subarray(0, -1), Buffer.of(0x60)]) }),
  ],
  [
    "is no tar",
    "DELTA_INVALID",
    (): DeltaImageOptions => ({ spoilTar: (tar) => (tar.length > 1024 ? Buffer.alloc(9000, "x") : tar) }),
  ],
  ["is an empty tar of a layer that is not shared", "DELTA_IMAGE_INVALID", () => ({ leaveOut: [1] })],
  [
    "is in a tar that is cut short",
    "DELTA_INVALID",
    () => ({ spoilTar: (tar) => (tar.length > 1024 ? tar.subarray(0, 700) : tar) }),
  ],
  [
    "is in a tar without a file",
    "DELTA_INVALID",
    () => ({ spoilTar: (tar) => (tar.length > 1024 ? Buffer.alloc(2048) : tar) }),
  ],
  ["makes something else", "DIFFID_MISMATCH", () => ({ spoil: flipLiteral })],
  ["makes more than it says", "DIFFID_MISMATCH", () => ({ sizes: target.layers.map(({ tar }) => tar.length - 1024) })],
  ["makes less than it says", "DIFFID_MISMATCH", () => ({ sizes: target.layers.map(({ tar }) => tar.length + 1024) })],
  ["copies from beyond its base", "DELTA_BASE_DIFFERS", () => ({ spoil: copyBeyond })],
  [
    "is for another base",
    "DELTA_IMAGE_INVALID",
    () => ({
      labels: { "io.resin.delta.base": digestOf("another") },
      annotations: {
        "dev.varve.delta.base": base.layers
          .map(({ diffId }) => diffId)
          .toReversed()
          .join(" "),
      },
    }),
  ],
  [
    "is for a base that is not here",
    "DELTA_BASE_MISSING",
    async () => ({ annotated: false, labels: { "io.resin.delta.base": (await other).config.digest } }),
  ],
  ["has no base", "DELTA_IMAGE_INVALID", () => ({ labels: { "io.resin.delta.base": "nothing" } })],
  [
    "has a target of other layers",
    "DELTA_IMAGE_INVALID",
    async () => ({ labels: { "io.resin.delta.config": (await other).config.bytes.toString() } }),
  ],
  ["has a target that is none", "DELTA_IMAGE_INVALID", () => ({ labels: { "io.resin.delta.config": "{]" } })],
];

it.each(cases)("of which a delta %s end in %s, twice alike, and leave what was here", async (_, code, spoil) => {
  const here = await pullBench(DRIVER);
  const options = await spoil();
  await expect(pulled(here, options)).rejects.toMatchObject({ code });
  await expect(here.pull("delta")).rejects.toMatchObject({ code });
  expect(await here.context.store.images.get(`${here.proxy.host}/app:delta`)).toBeUndefined();
  await here.push("delta", await buildDeltaImage(base, target));
  expect(await here.pull("delta")).toMatchObject({ status: "pulled", imageId: target.config.digest });
  for (const { diffId } of target.layers) expect(await here.context.store.content.partial(diffId)).toEqual([]);
});

function flipLiteral(delta: Buffer): Buffer {
  const at = delta.indexOf(NEWS.subarray(0, 64));
  const spoilt = Buffer.from(delta);
  // The smaller one has no literal of these; its end then makes less.
  if (at === -1) return Buffer.concat([delta.subarray(0, -1), Buffer.of(1, 0, 0)]);
  spoilt[at + 5] = (spoilt[at + 5] ?? 0) ^ 1;
  return spoilt;
}

function copyBeyond(delta: Buffer): Buffer {
  const command = Buffer.alloc(9);
  command[0] = 0x4f;
  command.writeUInt32BE(0x7fff_fff0, 1);
  command.writeUInt32BE(100, 5);
  return Buffer.concat([delta.subarray(0, -1), command, Buffer.of(0)]);
}
