import { execFile, execFileSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { buildImage, buildIndex, type KitImage } from "../../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../../test/kit/images/oci-layout.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf } from "../../oci/digest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { DockerArchiveSource } from "./docker-archive.ts";
import { DockerArchiveSink } from "./docker-archive-sink.ts";
import { fileName, moveImage, putImage, readImage } from "./move-image.suite.ts";
import { OciArchiveSource } from "./oci-archive.ts";
import { OciArchiveSink } from "./oci-archive-sink.ts";
import { OciLayoutSource } from "./oci-layout.ts";
import { openImageSink } from "./open.ts";
import { collect, once } from "./verified.ts";

const run = promisify(execFile);

function image(text: string, compression: "none" | "gzip" | "zstd" = "gzip"): Promise<KitImage> {
  const layer = (path: string) => [{ type: "file", path, content: Buffer.from(text.repeat(100)) }] as const;
  return buildImage({ layers: [layer("a"), layer("b"), layer("a")], compression });
}

async function workshop(built: KitImage | ReturnType<typeof buildIndex>) {
  const dir = await tempDir();
  const layout = join(dir.path, "layout");
  await writeOciLayout(layout, built, "v1");
  const path = (name: string): string => join(dir.path, name);
  return {
    layout: `oci:${layout}:v1`,
    path,
    files: () => readdir(dir.path),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

describe("a blob of an archive", () => {
  it.each(["oci-archive", "docker-archive"] as const)("is read from any byte on (%s)", async (transport) => {
    await using shop = await workshop(await image("one"));
    await moveImage(shop.layout, `${transport}:${shop.path("a.tar")}`);
    const opened = transport === "oci-archive" ? OciArchiveSource : DockerArchiveSource;
    await using source = await opened.open(shop.path("a.tar"));
    const root = await source.root();
    if (root.kind !== "manifest") throw new Error("no manifest");
    for (const blob of [root.config, ...root.layers]) {
      const whole = await collect(source.blob(blob), blob.size, "blob");
      for (const start of [0, 1, blob.size - 1, blob.size, blob.size + 1]) {
        const rest = await collect(source.blobFrom(blob, start), blob.size, "blob");
        expect(rest.equals(whole.subarray(start))).toBe(true);
      }
    }
  });
});

describe("an archive of an image layout", () => {
  it("takes and gives an image byte for byte, and is the same each time", async () => {
    const one = await image("one");
    await using shop = await workshop(one);
    for (const name of ["a.tar", "b.tar"])
      expect(await moveImage(shop.layout, `oci-archive:${shop.path(name)}:x`)).toBe(one.digest);
    expect(await readFile(shop.path("a.tar"))).toEqual(await readFile(shop.path("b.tar")));
    const { root, blobs } = await readImage(`oci-archive:${shop.path("a.tar")}:x`);
    expect(root.bytes).toEqual(one.bytes);
    for (const layer of one.layers) expect(blobs.get(layer.descriptor.digest)).toEqual(layer.bytes);
    await expect(readImage(`oci-archive:${shop.path("a.tar")}:y`)).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    expect((await shop.files()).toSorted()).toEqual(["a.tar", "b.tar", "layout"]);
  });

  it("takes an index with all its platforms", async () => {
    const index = buildIndex([await image("one"), await image("two")]);
    await using shop = await workshop(index);
    await moveImage(shop.layout, `oci-archive:${shop.path("a.tar")}`);
    const { root, manifests } = await readImage(`oci-archive:${shop.path("a.tar")}`);
    expect([root.digest, manifests.length]).toEqual([index.digest, 2]);
  });

  it("is read also when it is compressed, or comes through a pipe", async () => {
    const one = await image("one");
    await using shop = await workshop(one);
    await moveImage(shop.layout, `oci-archive:${shop.path("a.tar")}`);
    const bytes = await readFile(shop.path("a.tar"));
    await writeFile(shop.path("a.gz"), gzipSync(bytes));
    await writeFile(shop.path("a.zst"), zstdCompressSync(bytes));
    for (const name of ["a.gz", "a.zst"])
      expect((await readImage(`oci-archive:${shop.path(name)}`)).root.digest).toBe(one.digest);
    execFileSync("mkfifo", [shop.path("pipe")]);
    const [read] = await Promise.all([
      readImage(`oci-archive:${shop.path("pipe")}`),
      pipeline(once(bytes), createWriteStream(shop.path("pipe"))),
    ]);
    expect(read.root.digest).toBe(one.digest);
  });

  it("is written into a pipe, too", async () => {
    const one = await image("one");
    await using shop = await workshop(one);
    execFileSync("mkfifo", [shop.path("pipe")]);
    const [{ stdout }] = await Promise.all([
      run("cat", [shop.path("pipe")], { encoding: "buffer" }),
      moveImage(shop.layout, `oci-archive:${shop.path("pipe")}`),
    ]);
    await writeFile(shop.path("a.tar"), stdout);
    expect((await readImage(`oci-archive:${shop.path("a.tar")}`)).root.digest).toBe(one.digest);
  });

  it("takes the place of an old one, once it is whole", async () => {
    await using shop = await workshop(await image("one"));
    await writeFile(shop.path("a.tar"), "old");
    {
      await using source = await OciLayoutSource.open(shop.path("layout"));
      await using sink = await OciArchiveSink.open(shop.path("a.tar"));
      await putImage(source, sink);
    }
    expect(await readFile(shop.path("a.tar"), "utf8")).toBe("old");
    expect((await shop.files()).toSorted()).toEqual(["a.tar", "layout"]);
    await moveImage(shop.layout, `oci-archive:${shop.path("a.tar")}`);
    await readImage(`oci-archive:${shop.path("a.tar")}`);
  });

  it("is not spoilt by a blob that failed and came again", async () => {
    const one = await image("one");
    await using shop = await workshop(one);
    {
      await using source = await OciLayoutSource.open(shop.path("layout"));
      await using sink = await OciArchiveSink.open(shop.path("a.tar"));
      const [layer] = one.layers;
      const descriptor = layer?.descriptor as Descriptor;
      const liar = once(Buffer.alloc(descriptor.size, 1));
      await expect(sink.putBlob(descriptor, liar)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
      await putImage(source, sink);
      await sink.commit();
    }
    expect((await readImage(`oci-archive:${shop.path("a.tar")}`)).root.digest).toBe(one.digest);
  });

  it("holds sha512 blobs, whose names no plain header has room for", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a.tar");
    const layer = { mediaType: "text/plain", digest: digestOf("x", "sha512"), size: 1 };
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, config: layer, layers: [] }));
    const document = {
      kind: "manifest",
      config: layer,
      layers: [],
      bytes,
      digest: digestOf(bytes),
      mediaType: MEDIA_TYPES.ociManifest,
    } as const;
    {
      await using sink = await OciArchiveSink.open(path);
      await sink.putBlob(layer, once(Buffer.from("x")));
      await sink.putDocument(document, { root: true });
      await sink.commit();
    }
    expect((await readImage(`oci-archive:${path}`)).blobs.get(layer.digest)?.toString()).toBe("x");
  });

  it.skipIf(findPeer("tar") === undefined)("is read when GNU tar made it, sparse and with dots in front", async () => {
    const holes = Buffer.alloc(1024 * 1024);
    holes.write("in the middle", 512 * 1024);
    const layers = [[{ type: "file", path: "holes", content: holes }]] as const;
    const one = await buildImage({ layers, compression: "none" });
    await using shop = await workshop(one);
    for (const blob of await readdir(shop.path("layout/blobs/sha256")))
      await run("fallocate", ["-d", shop.path(`layout/blobs/sha256/${blob}`)]);
    for (const format of ["gnu", "posix"]) {
      await run("tar", ["--sparse", "-H", format, "-cf", shop.path(`${format}.tar`), "-C", shop.path("layout"), "."]);
      const { blobs } = await readImage(`oci-archive:${shop.path(`${format}.tar`)}`);
      expect(blobs.get(one.layers[0]?.descriptor.digest ?? one.digest)).toEqual(one.layers[0]?.bytes);
    }
  });
});

describe("an archive of docker save", () => {
  it.each(["none", "gzip", "zstd"] as const)(
    "keeps config and image ID of an image with %s layers",
    async (compression) => {
      const one = await image("one", compression);
      await using shop = await workshop(one);
      await moveImage(shop.layout, `docker-archive:${shop.path("a.tar")}:foo:v1`);
      const { root, blobs } = await readImage(`docker-archive:${shop.path("a.tar")}:foo:v1`);
      expect(root).toMatchObject({
        mediaType: MEDIA_TYPES.ociManifest,
        config: { digest: one.config.digest },
        layers: one.layers.map(({ diffId, tar }) => ({
          mediaType: MEDIA_TYPES.ociLayer,
          digest: diffId,
          size: tar.length,
        })),
      });
      for (const { diffId, tar } of one.layers) expect(blobs.get(diffId)).toEqual(tar);
    },
  );

  it("gives the same image in either direction, again and again", async () => {
    await using shop = await workshop(await image("one"));
    await moveImage(shop.layout, `docker-archive:${shop.path("a.tar")}:foo:v1`);
    const first = await moveImage(
      `docker-archive:${shop.path("a.tar")}`,
      `docker-archive:${shop.path("b.tar")}:foo:v1`,
    );
    const second = await moveImage(`docker-archive:${shop.path("b.tar")}`, `oci:${shop.path("c")}`);
    expect(second).toBe(first);
    expect(await readFile(shop.path("a.tar"))).toEqual(await readFile(shop.path("b.tar")));
  });

  it("holds several images, of which one must be chosen", async () => {
    const [one, two] = [await image("one"), await image("two")];
    await using shop = await workshop(one);
    await writeOciLayout(shop.path("layout"), two, "v2");
    {
      await using sink = await DockerArchiveSink.open(shop.path("a.tar"));
      for (const tag of ["v1", "v2"]) {
        await using source = await OciLayoutSource.open(shop.path("layout"), { tag });
        await putImage(source, sink, `foo:${tag}`);
      }
      await sink.commit();
    }
    const archive = `docker-archive:${shop.path("a.tar")}`;
    expect((await readImage(`${archive}:foo:v2`)).root).toMatchObject({ config: { digest: two.config.digest } });
    expect((await readImage(`${archive}:@0`)).root).toMatchObject({ config: { digest: one.config.digest } });
    await expect(readImage(archive)).rejects.toMatchObject({
      code: "REFERENCE_INVALID",
      hint: "choose one of :docker.io/library/foo:v1, :docker.io/library/foo:v2",
    });
    await expect(readImage(`${archive}:foo:v3`)).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
  });

  it("is not written over: images cannot be added, and are not to be lost", async () => {
    await using shop = await workshop(await image("one"));
    await moveImage(shop.layout, `docker-archive:${shop.path("a.tar")}`);
    await expect(openImageSink(fileName(`docker-archive:${shop.path("a.tar")}`))).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
    });
    await expect(openImageSink(fileName(`docker-archive:${shop.path("b.tar")}:@1`))).rejects.toMatchObject({
      code: "REFERENCE_INVALID",
    });
  });

  it("has no room for an index, an artifact, or layers that the config does not know", async () => {
    await using shop = await workshop(buildIndex([await image("one")]));
    const target = `docker-archive:${shop.path("a.tar")}`;
    await expect(moveImage(shop.layout, target)).rejects.toMatchObject({
      code: "USAGE",
      hint: expect.stringContaining("--platform"),
    });
    const liar = await buildImage({ layers: [[]], lies: { layers: { 0: { diffId: digestOf("other") } } } });
    await writeOciLayout(shop.path("layout"), liar, "v1");
    await expect(moveImage(shop.layout, target)).rejects.toMatchObject({ code: "DIFFID_MISMATCH" });
    const artifact = await buildImage({ layers: [[]], lies: { layers: { 0: { mediaType: "text/plain" } } } });
    await writeOciLayout(shop.path("layout"), artifact, "v1");
    await expect(moveImage(shop.layout, target)).rejects.toMatchObject({ code: "MEDIA_TYPE_UNSUPPORTED" });
    expect(await shop.files()).toEqual(["layout"]);
  });

  it("asks nothing of a blob before its turn", async () => {
    await using dir = await tempDir();
    await using sink = await DockerArchiveSink.open(join(dir.path, "a.tar"));
    const one = await image("one");
    const order: string[] = [];
    const put = (at: number): Promise<void> => {
      const { bytes, descriptor } = one.layers[at] ?? { bytes: Buffer.alloc(0), descriptor: undefined };
      async function* watched(): AsyncGenerator<Uint8Array> {
        order.push(`begin ${at}`);
        yield bytes;
        order.push(`end ${at}`);
      }
      return sink.putBlob(descriptor as Descriptor, watched());
    };
    await Promise.all([put(0), put(1)]);
    expect(order).toEqual(["begin 0", "end 0", "begin 1", "end 1"]);
    expect(gunzipSync(await collect(once(one.layers[0]?.bytes ?? Buffer.alloc(0)), 1e6, "layer"))).toEqual(
      one.layers[0]?.tar,
    );
  });
});
