import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage, buildIndex, type KitImage, type KitIndex } from "../../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../../test/kit/images/oci-layout.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestHex, digestOf } from "../../oci/digest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { moveImage, putImage, readImage } from "./move-image.suite.ts";
import { OciLayoutSink } from "./oci-layout-sink.ts";
import { OciLayoutSource } from "./oci-layout.ts";
import { once } from "./verified.ts";

function image(text: string, architecture = "amd64"): Promise<KitImage> {
  const layer = (path: string) => [{ type: "file", path, content: Buffer.from(text) }] as const;
  return buildImage({ layers: [layer("a"), layer("b")], platform: { os: "linux", architecture } });
}

async function withLayout<T>(
  images: Readonly<Record<string, KitImage | KitIndex>>,
  use: (paths: { from: string; to: string }) => Promise<T>,
): Promise<T> {
  await using dir = await tempDir();
  const from = join(dir.path, "from");
  for (const [tag, built] of Object.entries(images)) await writeOciLayout(from, built, tag);
  return await use({ from, to: join(dir.path, "to") });
}

type Entry = Record<string, unknown> & { annotations?: Record<string, string> };
async function entries(dir: string): Promise<Entry[]> {
  return (JSON.parse(await readFile(join(dir, "index.json"), "utf8")) as { manifests: Entry[] }).manifests;
}
const REF = "org.opencontainers.image.ref.name";

describe("an image layout", () => {
  it("takes and gives an image, byte for byte", async () => {
    const one = await image("one");
    await withLayout({ v1: one }, async ({ from, to }) => {
      expect(await moveImage(`oci:${from}:v1`, `oci:${to}:x`)).toBe(one.digest);
      const { root, blobs } = await readImage(`oci:${to}:x`);
      expect(root.bytes).toEqual(one.bytes);
      expect(blobs.get(one.config.digest)).toEqual(one.config.bytes);
      for (const layer of one.layers) expect(blobs.get(layer.descriptor.digest)).toEqual(layer.bytes);
      expect(await readFile(join(to, "oci-layout"), "utf8")).toContain("1.0.0");
      expect((await readdir(to)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
    });
  });

  it("takes an index with all its platforms", async () => {
    const index = buildIndex([await image("one"), await image("two", "arm64")]);
    await withLayout({ all: index }, async ({ from, to }) => {
      expect(await moveImage(`oci:${from}`, `oci:${to}`)).toBe(index.digest);
      expect((await readImage(`oci:${to}`)).manifests).toHaveLength(2);
      expect(await entries(to)).toEqual([
        { mediaType: MEDIA_TYPES.ociIndex, digest: index.digest, size: index.bytes.length },
      ]);
    });
  });

  it("lets the user choose among several images, by name or place", async () => {
    const [one, two] = [await image("one"), await image("two")];
    await withLayout({ v1: one, v2: two }, async ({ from }) => {
      expect((await readImage(`oci:${from}:v2`)).root.digest).toBe(two.digest);
      expect((await readImage(`oci:${from}:@0`)).root.digest).toBe(one.digest);
      await expect(OciLayoutSource.open(from)).rejects.toMatchObject({
        code: "REFERENCE_INVALID",
        hint: "choose one of :v1, :v2",
      });
      await expect(OciLayoutSource.open(from, { tag: "v3" })).rejects.toMatchObject({
        code: "MANIFEST_UNKNOWN",
        hint: "it has :v1, :v2",
      });
      await expect(OciLayoutSource.open(from, { position: 2 })).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    });
  });

  it("keeps what else is in index.json, and moves a name to the newer image", async () => {
    const [one, two] = [await image("one"), await image("two")];
    await withLayout({ v1: one, v2: two }, async ({ from, to }) => {
      await moveImage(`oci:${from}:v1`, `oci:${to}:tag`);
      const text = await readFile(join(to, "index.json"), "utf8");
      const kept = { ...JSON.parse(text), "x-other": { a: 1 }, annotations: { b: "c" } };
      const foreign = { mediaType: "text/plain", digest: digestOf("z"), size: 1, more: [true] };
      kept.manifests[0].annotations.note = "mine";
      kept.manifests.push(foreign);
      await writeFile(join(to, "index.json"), JSON.stringify(kept));

      await moveImage(`oci:${from}:v2`, `oci:${to}:tag`);
      await moveImage(`oci:${from}:v2`, `oci:${to}:tag`);
      await moveImage(`oci:${from}:v2`, `oci:${to}`);
      const after = JSON.parse(await readFile(join(to, "index.json"), "utf8"));
      expect(after).toMatchObject({ schemaVersion: 2, "x-other": { a: 1 }, annotations: { b: "c" } });
      expect(after.manifests.map((entry: Entry) => [entry["digest"], entry.annotations])).toEqual([
        [one.digest, { note: "mine" }],
        [foreign.digest, undefined],
        [two.digest, { [REF]: "tag" }],
      ]);
      expect(after.manifests[1]).toEqual(foreign);

      await moveImage(`oci:${from}:v1`, `oci:${to}:again`);
      expect((await entries(to))[0]?.annotations).toEqual({ note: "mine", [REF]: "again" });
    });
  });

  it("keeps every image that many copies put into it at once", async () => {
    const one = await image("one");
    await withLayout({ v1: one }, async ({ from, to }) => {
      const tags = ["a", "b", "c", "d", "e"];
      await Promise.all(tags.map((tag) => moveImage(`oci:${from}:v1`, `oci:${to}:${tag}`)));
      expect((await entries(to)).map((entry) => entry.annotations?.[REF] ?? "").toSorted()).toEqual(tags);
    });
  });

  it.each([
    ["DIGEST_MISMATCH", (path: string, size: number) => writeFile(path, "x".repeat(size))],
    ["SIZE_MISMATCH", (path: string) => truncate(path, 10)],
    ["SIZE_MISMATCH", (path: string) => writeFile(path, "x", { flag: "a" })],
    ["BLOB_UNKNOWN", (path: string) => rm(path)],
    ["ARCHIVE_INVALID", async (path: string) => rm(path).then(() => mkdir(path))],
    ["ARCHIVE_INVALID", async (path: string) => rm(path).then(() => execFileSync("mkfifo", [path]))],
  ])("says %s of a blob that is not what it should be", async (code, spoil) => {
    const one = await image("one");
    await withLayout({ v1: one }, async ({ from, to }) => {
      await spoil(join(from, "blobs/sha256", digestHex(one.config.digest)), one.config.bytes.length);
      await expect(readImage(`oci:${from}:v1`)).rejects.toMatchObject({ code });
      await expect(moveImage(`oci:${from}:v1`, `oci:${to}`)).rejects.toMatchObject({ code });
      await expect(readdir(to)).resolves.not.toContain("index.json");
    });
  });

  it("says so when it is none", async () => {
    await withLayout({ v1: await image("one") }, async ({ from, to }) => {
      await expect(OciLayoutSource.open(to)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
      await writeFile(join(from, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
      await expect(OciLayoutSource.open(from)).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
      await rm(join(from, "oci-layout"));
      await OciLayoutSource.open(from);
      for (const broken of ["", "[]", '{"manifests":{}}', '{"manifests":[{}]}', '{"manifests":[],"manifests":[]}']) {
        await writeFile(join(from, "index.json"), broken);
        await expect(OciLayoutSource.open(from)).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
      }
      await writeFile(join(from, "index.json"), '{"manifests":[]}');
      await expect(OciLayoutSource.open(from)).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN", hint: "it is empty" });
    });
  });

  it("is not made of a directory that holds something else", async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, "thesis.tex"), "");
    await expect(OciLayoutSink.open(dir.path)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect(await readdir(dir.path)).toEqual(["thesis.tex"]);
  });

  it("takes no blob that is not what its descriptor says, and keeps nothing of it", async () => {
    await using dir = await tempDir();
    await using sink = await OciLayoutSink.open(dir.path);
    const blob = { mediaType: MEDIA_TYPES.ociLayer, digest: digestOf("honest"), size: 6 };
    await expect(sink.putBlob(blob, once(Buffer.from("liars!")))).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    await expect(sink.putBlob(blob, once(Buffer.from("honest and more")))).rejects.toMatchObject({
      code: "SIZE_MISMATCH",
    });
    expect(await sink.has(blob)).toBe(false);
    await sink.putBlob(blob, once(Buffer.from("honest")));
    expect(await sink.has(blob)).toBe(true);
    expect((await readdir(dir.path)).toSorted()).toEqual(["blobs", "oci-layout"]);
  });

  it("removes what killed processes left long ago, and nothing of today", async () => {
    await using dir = await tempDir();
    await OciLayoutSink.open(dir.path);
    for (const name of [".varve-old", ".varve-new"]) await writeFile(join(dir.path, name), "");
    await utimes(join(dir.path, ".varve-old"), 1, 1);
    await OciLayoutSink.open(dir.path);
    expect((await readdir(dir.path)).toSorted()).toEqual([".varve-new", "oci-layout"]);
  });

  it("shows nothing of a copy that was not committed", async () => {
    await withLayout({ v1: await image("one") }, async ({ from, to }) => {
      {
        await using source = await OciLayoutSource.open(from);
        await using sink = await OciLayoutSink.open(to);
        await putImage(source, sink);
      }
      await expect(OciLayoutSource.open(to)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    });
  });
});
