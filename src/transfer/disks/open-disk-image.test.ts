/** Images of virtual machines are found in the store by name, and others are told from them. */
import { describe, expect, it } from "vitest";
import { putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { tartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { putImage } from "../../../test/kit/store/put-image.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { openDiskImage } from "./open-disk-image.ts";

const NAME = "example.com/vm:1";
const DISK = Buffer.from(noise(300_000, "disk"));

describe("an image of a virtual machine in the store", () => {
  it("tells its disks, and which of them are held", async () => {
    const context = await transferContext();
    const { path, key } = await putTartImage(context.store, NAME, tartImage(DISK));
    await using opened = await openDiskImage(context, NAME);
    expect(opened.image.format).toBe("tart");
    expect(opened.disks).toMatchObject([{ key, held: { key, path, size: DISK.length } }]);
    expect(opened.record.name).toBe(NAME);
  });

  it("tells of disks that are not held", async () => {
    const context = await transferContext();
    await putTartImage(context.store, NAME, tartImage(DISK), { disk: false });
    await using opened = await openDiskImage(context, NAME);
    expect(opened.disks.map(({ held }) => held)).toEqual([undefined]);
  });
});

describe("what is no image of a virtual machine in the store", () => {
  it("is refused with what to do instead", async () => {
    const context = await transferContext();
    await putImage(context.store, "example.com/app:1");
    await expect(openDiskImage(context, "example.com/app:1")).rejects.toMatchObject({ code: "MEDIA_TYPE_UNSUPPORTED" });
    await expect(openDiskImage(context, "example.com/none:1")).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await expect(openDiskImage(context, "docker://example.com/vm:1")).rejects.toMatchObject({
      code: "USAGE",
      hint: "run first: varve pull docker://example.com/vm:1",
    });
  });
});
