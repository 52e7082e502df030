import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { packTree } from "../../../test/kit/images/pack-tree.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import type { TreeNode } from "../../../test/kit/trees/tree-node.ts";
import { digestHex, digestOf } from "../../oci/digest.ts";
import { readImage, type ReadImage } from "./move-image.suite.ts";

const LAYER = packTree([{ type: "file", path: "hello", content: Buffer.from("hello") }]);
const DIFF_ID = digestOf(LAYER);
const CONFIG = Buffer.from(
  JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [DIFF_ID, DIFF_ID] } }),
);

const file = (path: string, content: Uint8Array | string): TreeNode => ({
  type: "file",
  path,
  content: Buffer.from(content),
});
const symlink = (path: string, target: string): TreeNode => ({ type: "symlink", path, target });
const hardlink = (path: string, target: string): TreeNode => ({ type: "link", path, target });
const saved = (layers: readonly string[], config = "c.json"): TreeNode =>
  file("manifest.json", JSON.stringify([{ Config: config, RepoTags: null, Layers: layers }]));

async function read(content: Uint8Array | readonly TreeNode[], transport = "docker-archive"): Promise<ReadImage> {
  await using dir = await tempDir();
  const path = join(dir.path, "a.tar");
  await writeFile(path, content instanceof Uint8Array ? content : packTree(content));
  return await readImage(`${transport}:${path}`);
}

describe("archives of docker save, as they come", () => {
  it.each([
    ["legacy directories", [file("1/layer.tar", LAYER), file("2/layer.tar", LAYER)], ["1/layer.tar", "2/layer.tar"]],
    [
      "a symlink to another layer",
      [symlink("1/layer.tar", "../2/layer.tar"), file("2/layer.tar", LAYER)],
      ["1/layer.tar", "2/layer.tar"],
    ],
    [
      "a hard link to another layer",
      [file("2/layer.tar", LAYER), hardlink("1/layer.tar", "2/layer.tar")],
      ["1/layer.tar", "2/layer.tar"],
    ],
    ["links to links", [file("x", LAYER), hardlink("y", "x"), symlink("z", "y"), symlink("d/z", "/z")], ["z", "d/z"]],
    ["compressed layers", [file("l.tar.gz", gzipSync(LAYER))], ["l.tar.gz", "l.tar.gz"]],
    [
      "names of a layout",
      [file(`blobs/sha256/${digestHex(DIFF_ID)}`, LAYER)],
      Array(2).fill(`blobs/sha256/${digestHex(DIFF_ID)}`),
    ],
    ["dots and slashes", [file("./a//l.tar", LAYER)], ["a/l.tar", "/a/./l.tar"]],
  ])("are read with %s", async (_, members, layers) => {
    const { root, blobs } = await read([saved(layers), file("c.json", CONFIG), ...members]);
    expect(root).toMatchObject({
      config: { digest: digestOf(CONFIG) },
      layers: [{ digest: DIFF_ID, size: LAYER.length }, { digest: DIFF_ID }],
    });
    expect(blobs.get(DIFF_ID)).toEqual(LAYER);
  });

  const good = [file("c.json", CONFIG), file("l", LAYER)];
  it.each<[string, string, readonly TreeNode[]]>([
    ["no manifest.json", "ARCHIVE_INVALID", good],
    ["a manifest.json that is twice there", "ARCHIVE_INVALID", [saved(["l", "l"]), saved(["l", "l"]), ...good]],
    ["a manifest.json that is a directory", "ARCHIVE_INVALID", [{ type: "directory", path: "manifest.json" }, ...good]],
    ["a manifest.json that is broken", "ARCHIVE_INVALID", [file("manifest.json", "[{]"), ...good]],
    ["a manifest.json that is an object", "ARCHIVE_INVALID", [file("manifest.json", "{}"), ...good]],
    ["no images", "MANIFEST_UNKNOWN", [file("manifest.json", "[]"), ...good]],
    ["no config", "ARCHIVE_INVALID", [saved(["l", "l"], "x.json"), ...good]],
    ["a config outside", "ARCHIVE_INVALID", [saved(["l", "l"], "../../../../etc/passwd"), ...good]],
    [
      "a config behind a link outside",
      "ARCHIVE_INVALID",
      [saved(["l", "l"], "x"), symlink("x", "/etc/passwd"), ...good],
    ],
    ["a config that is none", "CONFIG_INVALID", [saved(["l", "l"], "l"), ...good]],
    ["a layer that is missing", "ARCHIVE_INVALID", [saved(["l", "m"]), ...good]],
    [
      "layers that run in circles",
      "ARCHIVE_INVALID",
      [saved(["x", "l"]), symlink("x", "y"), symlink("y", "x"), ...good],
    ],
    ["fewer layers than diff IDs", "ARCHIVE_INVALID", [saved(["l"]), ...good]],
    ["more layers than diff IDs", "ARCHIVE_INVALID", [saved(["l", "l", "l"]), ...good]],
    ["a layer of other bytes", "DIFFID_MISMATCH", [saved(["x", "x"]), file("x", Buffer.alloc(LAYER.length)), ...good]],
    [
      "a compressed layer of other bytes",
      "DIFFID_MISMATCH",
      [saved(["x", "x"]), file("x", gzipSync("other")), ...good],
    ],
    [
      "a compressed layer that is cut",
      "COMPRESSION_INVALID",
      [saved(["x", "x"]), file("x", gzipSync(LAYER).subarray(0, 60)), ...good],
    ],
  ])("are refused with %s: %s", async (_, code, members) => {
    await expect(read(members)).rejects.toMatchObject({ code });
  });
});

describe("archives of any kind", () => {
  const whole = packTree([saved(["l", "l"]), file("c.json", CONFIG), file("l", LAYER)]);

  it.each(["docker-archive", "oci-archive"])("must be archives: %s", async (transport) => {
    const broken: readonly Uint8Array[] = [
      new Uint8Array(),
      Buffer.from("not a tar, but long enough to be read as one ".repeat(30)),
      whole.subarray(0, 700),
      gzipSync(whole).subarray(0, 100),
      Buffer.concat([Buffer.from("fd377a585a00", "hex"), Buffer.alloc(1024)]),
      gzipSync(Buffer.concat([Buffer.from("BZh9"), Buffer.alloc(1024)])),
    ];
    for (const bytes of broken) await expect(read(bytes, transport)).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
    await expect(readImage(`${transport}:/no/such/file`)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(readImage(`${transport}:/`)).rejects.toMatchObject({
      code: "ARCHIVE_INVALID",
      hint: expect.stringContaining("oci:DIR"),
    });
  });

  it("that end inside a payload are found out before anything is read from them", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a.tar");
    await writeFile(path, packTree([file("big", Buffer.alloc(1_000_000))]));
    await truncate(path, 300_000);
    await expect(readImage(`oci-archive:${path}`)).rejects.toMatchObject({
      code: "ARCHIVE_INVALID",
      message: expect.stringContaining("ends inside"),
    });
    expect((await readFile(path)).length).toBe(300_000);
  });

  it("of the other kind are told apart", async () => {
    await expect(read(whole, "oci-archive")).rejects.toMatchObject({
      hint: expect.stringContaining("docker-archive:"),
    });
    const layout = [file("index.json", '{"schemaVersion":2,"manifests":[]}')];
    await expect(read(layout, "docker-archive")).rejects.toMatchObject({
      hint: expect.stringContaining("oci-archive:"),
    });
    await expect(read(layout, "oci-archive")).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    await expect(read([...layout, ...layout], "oci-archive")).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
  });
});
