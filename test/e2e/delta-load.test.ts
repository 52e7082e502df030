/**
 * Delta images that come as files, as balena's engine loads them (formats "balena-delta" §5, "load", and §9, "Load vectors"): applied to the base that is
 * held, or told what is wrong with them. The same faults end in the same errors when such an image is pulled.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { BASE_LABEL, CONFIG_LABEL } from "../../src/oci/delta-names.ts";
import { buildDelta, deltaOf } from "../kit/images/build-delta.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { buildLayer } from "../kit/images/build-layer.ts";
import { writeOciLayout } from "../kit/images/oci-layout.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { directory, file, type TreeNode } from "../kit/trees/tree-node.ts";
import { treeFaults } from "./chunked-bench.ts";
import { newMachine, type Machine } from "./machine.ts";

const rng = createRng(63);
const CONTENT = rng.text(120_000);
const OLD: TreeNode[] = [directory("bin"), file("bin/busybox", CONTENT)];
const FRESH: TreeNode[] = [directory("bin"), file("bin/busybox", Buffer.concat([CONTENT.subarray(9), rng.bytes(900)]))];

let registry: KitRegistry;
let base: KitImage;
let target: KitImage;
/** What makes the target of the base. */
let delta: Buffer;
beforeAll(async () => {
  registry = await startRegistry();
  base = await buildImage({ layers: [OLD] });
  target = await buildImage({ layers: [FRESH] });
  delta = await deltaOf(base.layers[0]!.tar, target.layers[0]!.tar);
});
afterAll(() => registry[Symbol.asyncDispose]());

async function machine({ held = [base] }: { readonly held?: readonly KitImage[] } = {}): Promise<Machine> {
  const made = await newMachine();
  onTestFinished(() => made[Symbol.asyncDispose]());
  for (const [at, image] of held.entries()) {
    await pushImage(registry.host, "load/held", String(at), image);
    await made.pull(`${registry.host}/load/held:${at}`);
  }
  return made;
}

/** @returns the name of a docker archive that has the image */
async function archive({ path }: Machine, image: KitImage): Promise<string> {
  const layout = join(path, "layout");
  await writeOciLayout(layout, image, "delta");
  await using packing = await newMachine();
  const place = `docker-archive:${join(path, "delta.tar")}`;
  await packing.ok("copy", `oci:${layout}:delta`, `${place}:example.test/delta:1`);
  return place;
}

it("a delta in an archive makes the target of the base that is held", async () => {
  const here = await machine();
  const place = await archive(here, await buildDelta(base, target, { annotated: false }));
  const done = (await here.ok("delta", "apply", place, "-t", "example.test/app:2")) as PullResult;
  expect(done).toMatchObject({ status: "pulled", imageId: target.config.digest, layers: [{ how: "librsync-delta" }] });
  expect(done.bytes.network).toBe(0);
  expect(await treeFaults(here, target, [FRESH])).toEqual([]);
  const images = await here.images();
  expect(images.map(({ name }) => name)).toContain("example.test/app:2");
  // Once more there is nothing to do.
  const again = (await here.ok("delta", "apply", place, "-t", "example.test/app:2")) as PullResult;
  expect(again).toMatchObject({ status: "up-to-date", imageId: target.config.digest });
});

it("a target that is held already only gets the name", async () => {
  const here = await machine({ held: [base, target] });
  // Nothing of the deltas is looked at.
  const damaged = await buildDelta(base, target, { deltas: [Buffer.from("nothing")] });
  const place = await archive(here, damaged);
  const done = (await here.ok("delta", "apply", place, "-t", "example.test/app:2")) as PullResult;
  expect(done).toMatchObject({ imageId: target.config.digest, layers: [{ how: "present" }] });
});

describe.each(["in an archive", "in a registry"] as const)("a delta %s", (where) => {
  async function fails(here: Machine, image: KitImage): Promise<string> {
    const before = await here.images();
    let code: string;
    if (where === "in an archive") {
      code = (await here.fails("delta", "apply", await archive(here, image), "-t", "example.test/app:2")).code;
    } else {
      await pushImage(registry.host, "load/delta", "1", image);
      code = (await here.fails("pull", `${registry.host}/load/delta:1`)).code;
    }
    expect(await here.images()).toEqual(before);
    expect(await here.ok("fsck")).toMatchObject({ sound: true });
    return code;
  }

  it("whose base is not held is refused", async () => {
    const here = await machine({ held: [] });
    expect(await fails(here, await buildDelta(base, target))).toBe("DELTA_BASE_MISSING");
  });

  it.each<[name: string, delta: () => Uint8Array, code: string]>([
    ["is cut short", () => delta.subarray(0, delta.length - 40), "DELTA_INVALID"],
    ["is empty", () => new Uint8Array(), "DELTA_INVALID"],
    ["has another magic", () => Buffer.concat([Buffer.from("baaaaaad", "hex"), delta.subarray(4)]), "DELTA_INVALID"],
    ["copies from beyond the base", () => Buffer.from("7273023647000f424000000100", "hex"), "DELTA_BASE_DIFFERS"],
    ["is shorter than its magic", () => Buffer.from("727302", "hex"), "DELTA_INVALID"],
    ["makes other bytes", () => wrongBytes(), "DIFFID_MISMATCH"],
  ])("that %s is refused", async (_, bytes, code) => {
    const here = await machine();
    expect(await fails(here, await buildDelta(base, target, { deltas: [bytes()] }))).toBe(code);
  });

  it.each([
    ["no tar", Buffer.from("no tar at all")],
    ["a tar of no file", Buffer.alloc(10_240)],
  ])("that is %s is refused", async (_, tar) => {
    const Labels = { [BASE_LABEL]: base.config.digest, [CONFIG_LABEL]: target.config.bytes.toString() };
    const layers = [await buildLayer(tar, { flavour: "docker" })];
    const image = await buildImage({ layers, flavour: "docker", config: { Labels } });
    expect(await fails(await machine(), image)).toBe("DELTA_INVALID");
  });

  it("whose layers are not the target's is refused", async () => {
    const Labels = { [BASE_LABEL]: base.config.digest, [CONFIG_LABEL]: target.config.bytes.toString() };
    const made = await buildDelta(base, target);
    const layers = [made.layers[0]!, made.layers[0]!];
    const code = await fails(await machine(), await buildImage({ layers, flavour: "docker", config: { Labels } }));
    expect(code).toBe("DELTA_IMAGE_INVALID");
  });
});

/** As long as the target's tar, of the base and zeros. */
function wrongBytes(): Buffer {
  const { length } = target.layers[0]!.tar;
  const literal = Buffer.alloc(5 + length);
  literal.writeUInt8(0x43, 0);
  literal.writeUInt32BE(length, 1);
  return Buffer.concat([Buffer.from("72730236", "hex"), literal, Buffer.alloc(1)]);
}
