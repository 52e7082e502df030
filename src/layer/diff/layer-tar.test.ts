/** The tar itself: what it refuses, what it leaves out, that it is plain where it can be, and that files may not change under it. */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMembers } from "../../../test/kit/layer/read-members.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { xattrCalls } from "../../sys/xattr.ts";
import type { Change, ChangedNode } from "./change.ts";
import { changesOfTree, changesOfTrees } from "./changes.ts";
import { writeLayerTar, type LayerTarOptions } from "./layer-tar.ts";

const MIB = 1024 * 1024;

async function tarOf(tree: string, options: LayerTarOptions = {}): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeLayerTar(changesOfTree(tree), options)));
}

describe("headers", () => {
  it("are plain where nothing else is needed", async () => {
    await using dir = await tempDir();
    chmodSync(dir.path, 0o755);
    writeFileSync(join(dir.path, "f"), "x");
    utimesSync(join(dir.path, "f"), 1, 1);
    const tar = await tarOf(dir.path);
    // Header, content, end.
    expect(tar.length).toBe(512 * 4);
    expect(tar.toString("latin1", 257, 265)).toBe("ustar\x0000");
  });

  it("carry names of any bytes and length, fractions of seconds, attributes", async () => {
    await using dir = await tempDir();
    chmodSync(dir.path, 0o755);
    const name = `${"n".repeat(250)}ü`;
    writeFileSync(join(dir.path, name), "");
    utimesSync(join(dir.path, name), 1.5, 1.5);
    writeFileSync(Buffer.concat([Buffer.from(`${dir.path}/`), Buffer.of(0xff, 0xfe)]), "");
    xattrCalls().set(join(dir.path, name), "user.a", Buffer.of(0, 10, 0));
    xattrCalls().set(join(dir.path, name), "user.overlay.opaque", Buffer.from("y"));
    const members = readMembers(await tarOf(dir.path)).map(({ entry }) => entry);
    expect(members.map((entry) => entry.name)).toEqual(
      ["./", name, "\udcff\udcfe"].slice(members.length === 2 ? 1 : 0),
    );
    const entry = members.find((one) => one.name === name);
    expect(entry?.modifiedAt).toEqual({ seconds: 1, nanoseconds: 500_000_000 });
    expect([...(entry?.xattrs ?? [])]).toEqual([["user.a", new Uint8Array([0, 10, 0])]]);
  });

  it.each([".wh.x", ".wh..wh..opq"])("refuse a file named %s, which would be read as a whiteout", async (name) => {
    await using dir = await tempDir();
    mkdirSync(join(dir.path, "d"));
    writeFileSync(join(dir.path, "d", name), "");
    await expect(tarOf(dir.path)).rejects.toMatchObject({ code: "PATH_INVALID", detail: { path: `d/${name}` } });
  });

  it("refuse paths that readers refuse", async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, "f"), "");
    const deep = async function* (): AsyncGenerator<Change> {
      for await (const change of changesOfTree(dir.path)) yield { ...change, path: "directory/".repeat(410) };
    };
    await expect(Array.fromAsync(writeLayerTar(deep()))).rejects.toMatchObject({ code: "LAYER_LIMIT" });
  });
});

describe("content", () => {
  it("of a sparse file is written as zeros, in chunks of a MiB that may be kept", async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, "f"), "begin");
    truncateSync(join(dir.path, "f"), 5 * MIB + 3);
    const chunks = await Array.fromAsync(writeLayerTar(changesOfTree(dir.path)));
    expect(Math.max(...chunks.map(({ length }) => length))).toBe(MIB);
    const file = readMembers(Buffer.concat(chunks)).find(({ entry }) => entry.name === "f");
    expect(file?.content.length).toBe(5 * MIB + 3);
    expect(file?.content.subarray(0, 5).toString()).toBe("begin");
    expect(file?.content.subarray(5).every((byte) => byte === 0)).toBe(true);
  });

  const spoilers: Readonly<Record<string, (path: string) => void>> = {
    grows: (path) => appendFileSync(path, "more"),
    shrinks: (path) => truncateSync(path, 2 * MIB),
    "is written to": (path) => {
      writeFileSync(path, Buffer.alloc(3 * MIB, 1));
      utimesSync(path, 5, 5);
    },
  };

  it.each(Object.entries(spoilers))("of a file that %s meanwhile is an error", async (_, spoil) => {
    await using dir = await tempDir();
    const path = join(dir.path, "f");
    writeFileSync(path, Buffer.alloc(3 * MIB));
    const run = async (): Promise<void> => {
      let first = true;
      for await (const _chunk of writeLayerTar(changesOfTree(dir.path))) {
        if (first) spoil(path);
        first = false;
      }
    };
    await expect(run()).rejects.toMatchObject({ code: "SOURCE_CHANGED", detail: { path: "f" } });
  });

  it("is never read through a link that took the place of a directory", async () => {
    await using dir = await tempDir();
    const [tree, outside] = [join(dir.path, "tree"), join(dir.path, "outside")];
    for (const path of [tree, outside, join(tree, "d")]) mkdirSync(path);
    for (const path of [outside, join(tree, "d")]) {
      for (const name of ["a", "b"]) writeFileSync(join(path, name), path === outside ? "secret" : "plain");
    }
    const contents: string[] = [];
    for await (const change of changesOfTree(tree)) {
      if (change.path === "d/a") {
        renameSync(join(tree, "d"), join(tree, "moved"));
        symlinkSync(outside, join(tree, "d"));
      }
      if (change.kind === "add" && change.node.type === "file") contents.push(await contentOf(change.node));
    }
    expect(contents).toEqual(["plain", "plain"]);
  });

  it("ends when it is told to", async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, "f"), Buffer.alloc(3 * MIB));
    const stop = new AbortController();
    const { signal } = stop;
    const run = async (): Promise<void> => {
      for await (const _chunk of writeLayerTar(changesOfTree(dir.path), { signal })) stop.abort(new Error("enough"));
    };
    await expect(run()).rejects.toThrow("enough");
  });
});

describe("changes", () => {
  it("that are looked at in no tar cost no reading of what is new", async () => {
    await using dir = await tempDir();
    const [a, b] = [join(dir.path, "a"), join(dir.path, "b")];
    for (const path of [a, b]) mkdirSync(path);
    writeFileSync(join(b, "f"), "x");
    const [change] = await Array.fromAsync(changesOfTrees(a, b));
    expect(change).toMatchObject({ kind: "add", path: "f", node: { type: "file", size: 1 } });
  });

  it("deeper than layers may be are an error", async () => {
    await using dir = await tempDir();
    const part = "d/".repeat(200);
    mkdirSync(join(dir.path, part, part, part), { recursive: true });
    await expect(tarOf(dir.path)).rejects.toMatchObject({ code: "LAYER_LIMIT" });
  });
});

async function contentOf(node: ChangedNode): Promise<string> {
  using file = node.open();
  const buffer = Buffer.alloc(node.size);
  await file.read(buffer, 0, node.size);
  return buffer.toString();
}
