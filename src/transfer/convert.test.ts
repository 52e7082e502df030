import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { buildImage, buildIndex } from "../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../test/kit/images/oci-layout.ts";
import { putImage } from "../../test/kit/store/put-image.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import type { Manifest } from "../oci/manifest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { convertImage } from "./convert.ts";
import { inspectImage } from "./images.ts";
import { openSource } from "./open-place.ts";
import type { TransferContext } from "./context.ts";
import type { ImageSource } from "./transports/types.ts";
import { unpack } from "./unpack.ts";

const skopeo = findPeer("skopeo");

const TOC = "io.github.containers.zstd-chunked.manifest-checksum";

async function manifestOf(context: TransferContext, name: string): Promise<Manifest> {
  await using source = await openSource(context, name);
  const root = await source.root();
  if (root.kind === "manifest") return root;
  throw new Error("it is an index");
}

describe("convertImage", () => {
  it("compresses layers another way and leaves the image's ID as it is, again and again the same", async () => {
    const context = await transferContext();
    await putImage(context.store, "docker.io/library/app:1");
    const before = await inspectImage(context, "app:1");
    const done = await convertImage(context, "app:1", "app:chunked", { compression: "zstd:chunked" });
    const after = await inspectImage(context, "app:chunked");
    expect(after).toMatchObject({ imageId: before.imageId });
    const manifest = await manifestOf(context, "app:chunked");
    expect(manifest.digest).toBe(done.digest);
    for (const { mediaType, annotations } of manifest.layers) {
      expect(mediaType).toBe(MEDIA_TYPES.ociLayerZstd);
      expect(annotations?.[TOC]).toMatch(/^sha256:/);
    }
    const again = await convertImage(context, "app:1", "app:again", { compression: "zstd:chunked" });
    expect(again.digest).toBe(done.digest);
    const kept = await convertImage(context, "app:chunked", "app:kept", { compression: "zstd:chunked" });
    expect(kept).toMatchObject({ digest: done.digest, layers: done.layers.map(() => ({ how: "kept" })) });
    const zstd = await convertImage(context, "app:chunked", "app:zstd", { compression: "zstd" });
    expect(zstd.digest).toBe(done.digest);
    const back = await convertImage(context, "app:chunked", "app:gzip", { compression: "gzip" });
    expect(back.layers.map(({ mediaType, how }) => [mediaType, how])).toEqual(
      done.layers.map(() => [MEDIA_TYPES.ociLayerGzip, "converted"]),
    );
    expect(
      (await manifestOf(context, "app:gzip")).layers.every(({ annotations }) => annotations?.[TOC] === undefined),
    ).toBe(true);
  });

  it("gives the same tree", async () => {
    const context = await transferContext();
    const image = await buildImage({ layers: [[file("a", "a".repeat(100_000))], [file("b")]] });
    await writeOciLayout(join(context.path, "in"), image, "1");
    await convertImage(context, `oci:${join(context.path, "in")}:1`, "converted:1", { compression: "zstd:chunked" });
    await unpack(context, "converted:1", join(context.path, "tree"));
    expect(execFileSync("ls", [join(context.path, "tree")], { encoding: "utf8" })).toBe("a\nb\n");
  });

  it("converts a layer that platforms share once, and the index", async () => {
    const context = await transferContext();
    const shared = file("shared", "x".repeat(5000));
    const amd64 = await buildImage({ layers: [[shared], [file("amd64")]] });
    const arm64 = await buildImage({
      layers: [[shared], [file("arm64")]],
      platform: { os: "linux", architecture: "arm64" },
    });
    await writeOciLayout(join(context.path, "in"), buildIndex([amd64, arm64]), "1");
    const out = `oci:${join(context.path, "out")}:1`;
    const done = await convertImage(context, `oci:${join(context.path, "in")}:1`, out, {
      compression: "zstd:chunked",
      all: true,
    });
    expect(done.layers).toHaveLength(3);
    await using source = await openSource(context, out);
    const root = await source.root();
    if (root.kind !== "index") throw new Error("it is a manifest");
    for (const [at, child] of root.manifests.entries()) {
      const manifest = await source.document(child);
      expect(manifest).toMatchObject({ config: { digest: [amd64, arm64][at]!.config.digest } });
      expect(child.platform).toMatchObject({ os: "linux" });
    }
  });

  it("refuses a level that there is not", async () => {
    const context = await transferContext();
    await putImage(context.store, "docker.io/library/app:1");
    const convert = (level: number): Promise<unknown> =>
      convertImage(context, "app:1", "x:1", { compression: "gzip", level });
    await expect(convert(10)).rejects.toMatchObject({ code: "USAGE" });
    await expect(convert(0)).rejects.toMatchObject({ code: "USAGE" });
  });

  it("refuses an archive whose layers are not compressed", async () => {
    const context = await transferContext();
    const made = convertImage(context, "app:1", `docker-archive:${context.path}/x.tar`, { compression: "zstd" });
    await expect(made).rejects.toMatchObject({ code: "USAGE", hint: expect.stringContaining("varve copy app:1 ") });
  });

  it("sends what it makes to an archive, whose layers hold the same tars", async () => {
    const context = await transferContext();
    const image = await buildImage({ layers: [[file("a", "a".repeat(70_000))]] });
    await writeOciLayout(join(context.path, "in"), image, "1");
    const out = `oci-archive:${join(context.path, "out.tar")}:1`;
    await convertImage(context, `oci:${join(context.path, "in")}:1`, out, { compression: "zstd:chunked" });
    await using before = await openSource(context, `oci:${join(context.path, "in")}:1`);
    await using after = await openSource(context, out);
    const bytes = async (source: ImageSource): Promise<Buffer> => {
      const parts: Uint8Array[] = [];
      for await (const chunk of source.blob(((await source.root()) as Manifest).layers[0]!)) parts.push(chunk);
      return Buffer.concat(parts);
    };
    expect(zstdDecompressSync(await bytes(after)).equals(gunzipSync(await bytes(before)))).toBe(true);
  });

  it.skipIf(skopeo === undefined)("makes what skopeo takes", async () => {
    const context = await transferContext();
    await putImage(context.store, "docker.io/library/app:1");
    const layout = join(context.path, "layout");
    await convertImage(context, "app:1", `oci:${layout}:1`, { compression: "zstd:chunked" });
    const copy = join(context.path, "copy");
    execFileSync(skopeo!, ["--insecure-policy", "copy", "-q", `oci:${layout}:1`, `oci:${copy}:1`], { stdio: "pipe" });
    expect((await manifestOf(context, `oci:${copy}:1`)).digest).toBe(
      (await manifestOf(context, `oci:${layout}:1`)).digest,
    );
  });
});
