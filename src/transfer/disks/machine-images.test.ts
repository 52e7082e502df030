/** What of other commands is told and refused of images that are virtual machines. */
import { describe, expect, it } from "vitest";
import { lumeMachine, stackedMachine, vetuMachine } from "../../../test/kit/disk/stub-machines.ts";
import { putMachine, putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { someVmConfig, tartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { convertImage } from "../convert.ts";
import { diffSnapshot } from "../diff-snapshot.ts";
import { inspectImage, listImages } from "../images.ts";
import { prepareSnapshot } from "../manage-snapshots.ts";
import { mountImage } from "../mount-image.ts";
import { unpack } from "../unpack.ts";
import { imageFacts, machineFacts } from "./machine-facts.ts";
import { openDiskImage } from "./open-disk-image.ts";

const NAME = "example.com/vm:1";
const DISK = Buffer.concat([noise(200_000, "disk"), Buffer.alloc(100_000)]);

async function machine(): Promise<TestContext> {
  const context = await transferContext();
  await putTartImage(context.store, NAME, tartImage(DISK, { chunkSizes: [100_000] }));
  return context;
}

describe("an image of a virtual machine", () => {
  it("is listed with platform, size and time", async () => {
    const context = await machine();
    const [row] = await listImages(context);
    expect(row).toMatchObject({ name: NAME, platform: "linux/arm64", createdAt: "2026-08-18T07:16:00Z", layers: 5 });
    expect(row?.size).toBeGreaterThan(200_000);
  });

  it("is inspected down to its machine and disks", async () => {
    const context = await machine();
    const { platform, machine: found } = await inspectImage(context, NAME);
    expect(platform).toBe("linux/arm64");
    expect(found).toMatchObject({ format: "tart", cpuCount: 4, memoryBytes: 4 << 28, macAddress: "7a:65:e4:3f:b2:01" });
    expect(found).toMatchObject({ display: "1024x768", diskFormat: "raw", stacked: false, problem: null });
    expect(found?.disks).toMatchObject([
      {
        name: "disk.img",
        logicalBytes: 300_000,
        chunks: 3,
        zeroChunks: 1,
        chunkBytes: { least: 100_000, most: 100_000 },
      },
    ]);
  });

  it.each([
    ["vetu", vetuMachine({ "root.img": DISK }), { os: "linux", architecture: "arm64", cpuCount: 2 }],
    ["lume", lumeMachine(DISK), { os: "linux", architecture: "arm64", cpuCount: 3, memoryBytes: 2 ** 31 }],
    ["stacked", stackedMachine(someVmConfig(), [DISK, DISK]), { os: "linux", cpuCount: 4 }],
  ])("of other makers tells what is understood: %s", async (_, made, facts) => {
    const context = await transferContext();
    await putMachine(context.store, NAME, made);
    await using opened = await openDiskImage(context, NAME);
    expect(await imageFacts(opened.source, opened.image, context.signal)).toMatchObject({ ...facts, problem: null });
    expect(await listImages(context)).toMatchObject([{ platform: "linux/arm64" }]);
  });
});

describe("an odd configuration", () => {
  it.each([
    ["not JSON", "{", "is not valid JSON"],
    ["a list", "[]", "is an array"],
    ["none of Tart's", '{"version":7,"os":"linux"}', "version is not 1"],
    ["hostile", `{"version":1,"os":"${"x".repeat(100_000)}","macAddress":{}}`, "macAddress"],
    ["deep", "[".repeat(100_000), "nests deeper"],
  ])("is told in part, with what is wrong: %s", (_, text, problem) => {
    const facts = machineFacts(Buffer.from(text), "tart");
    expect(facts.problem).toContain(problem);
    expect(JSON.stringify(facts).length).toBeLessThan(1000);
  });
});

describe("commands that work on containers", () => {
  const refused = {
    code: "MEDIA_TYPE_UNSUPPORTED",
    hint: `varve disk export ${NAME} DIR writes its disks and the rest of it`,
  };

  it("refuse a machine, and say what to do with it", async () => {
    const context = await machine();
    const path = `${context.path}/at`;
    await expect(unpack(context, NAME, path)).rejects.toMatchObject(refused);
    await expect(diffSnapshot(context, NAME, () => undefined)).rejects.toMatchObject(refused);
    await expect(prepareSnapshot(context, "key", NAME)).rejects.toMatchObject(refused);
    await expect(mountImage(context, NAME, context.path)).rejects.toMatchObject(refused);
    const converted = convertImage(context, NAME, "example.com/vm:2", { compression: "zstd" });
    await expect(converted).rejects.toMatchObject({ code: "MEDIA_TYPE_UNSUPPORTED" });
  });

  it("refuse one of lume, whose config is none of an image", async () => {
    const context = await transferContext();
    await putMachine(context.store, NAME, lumeMachine(DISK));
    await expect(unpack(context, NAME, `${context.path}/at`)).rejects.toMatchObject(refused);
    const converted = convertImage(context, NAME, "example.com/vm:2", { compression: "zstd" });
    await expect(converted).rejects.toMatchObject({ code: "MEDIA_TYPE_UNSUPPORTED" });
  });
});
