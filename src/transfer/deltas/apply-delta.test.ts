/** Delta images that are here already: in the store, in layouts and in archives. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { buildDeltaImage } from "../../../test/kit/images/delta-image.ts";
import { writeOciLayout } from "../../../test/kit/images/oci-layout.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { pullBench, type PullBench } from "../../../test/kit/snapshot/pull-bench.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { copyImage } from "../copy.ts";
import { applyDeltaImage } from "./apply-delta.ts";

const [DRIVER = "copy"] = await usableDrivers();
const rng = createRng(5);
const [lower, upper] = [rng.bytes(60_000), rng.bytes(80_000)];

const [base, target] = await Promise.all([
  buildImage({ layers: [[file("lower", lower)], [file("upper", upper)]] }),
  buildImage({ layers: [[file("lower", lower)], [file("upper", Buffer.concat([upper, Buffer.from("new")]))]] }),
]);
const delta = await buildDeltaImage(base, target);

async function holding(image: KitImage): Promise<PullBench> {
  const here = await pullBench(DRIVER);
  await here.push("held", image);
  await here.pull("held");
  return here;
}

it.each(["oci:", "oci-archive:", "docker-archive:", "the store"])("from %s", async (where) => {
  const here = await holding(base);
  const { context } = here;
  const layout = join(context.path, "layout");
  await writeOciLayout(layout, delta);
  let name = `oci:${layout}:latest`;
  if (where !== "oci:") {
    const to = where === "the store" ? "localhost/delta:1" : `${where}${join(context.path, "file.tar")}:localhost/d:1`;
    await copyImage(context, name, to);
    name = to;
  }
  const result = await applyDeltaImage(context, name, { tag: "localhost/app:2" });
  expect(result).toMatchObject({
    reference: "localhost/app:2",
    status: "pulled",
    imageId: target.config.digest,
    bytes: { network: 0 },
    layers: [{ how: "present" }, { how: "librsync-delta", unpack: "unpacked" }],
  });
  expect(await context.store.images.get("localhost/app:2")).toMatchObject({ configDigest: target.config.digest });
  // Once more there is nothing to do.
  expect(await applyDeltaImage(context, name, { tag: "localhost/app:2" })).toMatchObject({ status: "up-to-date" });
});

it("gives the target a name of its own where it is given none", async () => {
  const { context } = await holding(base);
  await writeOciLayout(join(context.path, "layout"), delta);
  const { reference } = await applyDeltaImage(context, `oci:${join(context.path, "layout")}:latest`);
  expect(reference).toBe(`docker.io/library/delta:target-${target.config.digest.slice(7, 19)}`);
});

it("of another base, and of an image that is no delta, ends in what is wrong", async () => {
  const { context } = await holding(await buildImage({ layers: [[file("other", lower)]] }));
  await writeOciLayout(join(context.path, "layout"), delta);
  await writeOciLayout(join(context.path, "plain"), target);
  const apply = (name: string): Promise<unknown> =>
    applyDeltaImage(context, `oci:${join(context.path, name)}:latest`, { tag: "localhost/app:2" });
  await expect(apply("layout")).rejects.toMatchObject({ code: "DELTA_BASE_MISSING" });
  await expect(apply("plain")).rejects.toMatchObject({ code: "USAGE" });
});
