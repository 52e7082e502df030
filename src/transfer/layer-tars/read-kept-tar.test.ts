/** That an image whose layers are named by their tars can be given away again, whatever form they are held in. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { buildDeltaImage } from "../../../test/kit/images/delta-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { pullBench } from "../../../test/kit/snapshot/pull-bench.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { directory, file } from "../../../test/kit/trees/tree-node.ts";
import { copyImage } from "../copy.ts";

const rng = createRng(17);
const LARGE = rng.bytes(200_000);
const common = [directory("lib"), file("lib/common", LARGE.subarray(0, 5000))];
const [base, target] = await Promise.all(
  ["", "more"].map((more) =>
    buildImage({ layers: [common, [directory("app"), file("app/large", Buffer.concat([LARGE, Buffer.from(more)]))]] }),
  ),
);

describe.each(await usableDrivers())("images of which only tars are named, unpacked by %s", (driver) => {
  it.each([true, false])("can be saved, blobs discarded: %s", async (discardBlobs) => {
    const here = await pullBench(driver);
    await here.push("1", base!);
    await here.pull("1", { discardBlobs });
    const name = await here.push("2", await buildDeltaImage(base!, target!, { annotated: false }));
    await here.pull("2", { discardBlobs });
    const layout = join(here.context.path, "out");
    await copyImage(here.context, name, `oci:${layout}:2`);
    for (const { diffId, tar, descriptor } of target!.layers) {
      const [plain, compressed] = await Promise.all(
        [diffId, descriptor.digest].map((digest) =>
          readFile(join(layout, "blobs/sha256", digest.slice(7))).catch(() => undefined),
        ),
      );
      expect(plain?.equals(tar) ?? compressed?.equals(target!.layers[0]!.bytes)).toBe(true);
    }
  });
});
