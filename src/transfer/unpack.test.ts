import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../test/kit/images/oci-layout.ts";
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
