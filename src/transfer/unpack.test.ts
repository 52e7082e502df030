import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../test/kit/images/oci-layout.ts";
import { putImage } from "../../test/kit/store/put-image.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import { inProcess } from "../layer/in-process.ts";
import { RegistryClient } from "../registry/client.ts";
import { openStore } from "../store/store.ts";
import { copyImage } from "./copy.ts";
import { unpack } from "./unpack.ts";

describe("unpack", () => {
  it("leaves no stream open when a layer fails, also not the next one's, which was begun", async () => {
    await using dir = await tempDir();
    const broken = Buffer.alloc(4096, "no tar");
    const layers = [broken, [file("a", "next")], [file("b", "not begun")]];
    await writeOciLayout(join(dir.path, "layout"), await buildImage({ layers, compression: "none" }));
    await using store = await openStore(join(dir.path, "store"), { sync: false });
    await using registry = new RegistryClient({ registriesConf: false });
    const streams: AbortSignal[] = [];
    const threads: typeof inProcess = {
      ...inProcess,
      open: (blob, options) => {
        streams.push(options.signal);
        return inProcess.open(blob, options);
      },
    };
    const context = { store, registry, threads, signal: new AbortController().signal, onProgress: () => {} };
    await copyImage(context, `oci:${join(dir.path, "layout")}`, "broken:1");
    const unpacking = unpack(context, "broken:1", join(dir.path, "root"));
    await expect(unpacking).rejects.toMatchObject({ code: "LAYER_INVALID" });
    expect(streams.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(context.signal.aborted).toBe(false);
  });
});

describe("where unpack writes", () => {
  it("makes the directory with its parents", async () => {
    const context = await transferContext();
    await putImage(context.store, "docker.io/library/app:1");
    const directory = join(context.path, "a", "b");
    expect(await unpack(context, "app:1", directory)).toMatchObject({ directory, bundle: false });
    expect(await readdir(directory)).not.toEqual([]);
  });

  it("names what is in the way", async () => {
    const context = await transferContext();
    await putImage(context.store, "docker.io/library/app:1");
    const file = join(context.path, "file");
    await writeFile(file, "mine");
    await expect(unpack(context, "app:1", file)).rejects.toMatchObject({
      code: "PATH_INVALID",
      message: /no directory/,
    });
    await expect(unpack(context, "app:1", context.path)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect(await readdir(context.path)).toContain("file");
  });

  it.skipIf(process.platform !== "linux")("fails where nothing can be made, rather than try for ever", async () => {
    const context = await transferContext();
    await putImage(context.store, "docker.io/library/app:1");
    await expect(unpack(context, "app:1", "/proc/varve/deep")).rejects.toMatchObject({
      code: expect.stringMatching(/^(FILE_NOT_FOUND|PERMISSION)$/),
    });
  });
});
