import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { archivesOf, makeTree } from "../../test/codec/archives.ts";
import { packNode, packTree } from "../../test/kit/images/pack-tree.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { applyAll, piecesOf } from "../../test/kit/layer/apply-all.ts";
import { listIndex } from "../../test/kit/layer/index-layers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { randomTree } from "../../test/kit/trees/random-tree.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { directory, file, hardlink, opaque, whiteout } from "../../test/kit/trees/tree-node.ts";
import { mountTmpfs } from "../../test/e2e/tmpfs.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "../codec/tar/header.ts";
import { digestOf } from "../oci/digest.ts";
import { emptyIndex } from "./index-tree.ts";
import { bindLayer, replayLayer } from "./index-replay.ts";
import { placeTar } from "./place-tar.ts";
import { readLayer } from "./read-layer.ts";
import { unpackErofs } from "./unpack-erofs.ts";
import { unpackLayer } from "./unpack-layer.ts";

const asRoot = process.getuid?.() === 0;

const content = (directory: string) => {
  const { tree, devices } = readLayer(directory);
  return { tree, devices: devices.map((path) => readFileSync(path)) };
};

/** The layer, unpacked and read back, against a directory that it was applied to. */
async function expectSame(dir: string, tar: Uint8Array): Promise<void> {
  const [layer, tree] = [join(dir, "layer"), join(dir, "tree")];
  mkdirSync(tree);
  await unpackErofs(piecesOf(tar), layer);
  await applyAll(tree, [tar]);
  expect(diffTrees(await readTree(tree), listIndex(content(layer)))).toEqual([]);
  // Who reads headers only comes to the same places, also in the extra file.
  const replayed = replayLayer(emptyIndex(), readLayer(layer));
  expect(diffTrees(await readTree(tree), listIndex({ ...content(layer), tree: replayed }))).toEqual([]);
}

describe("a layer kept as its tar", () => {
  it.skipIf(!asRoot)("is the tree that applying it makes, whoever made the tar, with holes too", async () => {
    await using dir = await tempDir();
    const made = join(dir.path, "made");
    await makeTree(made);
    for (const [number, { maker, bytes }] of archivesOf(made).entries()) {
      const place = join(dir.path, String(number));
      mkdirSync(place);
      await expectSame(place, bytes).catch((cause: unknown) => {
        throw new Error(maker, { cause });
      });
    }
  });

  it.skipIf(!asRoot).each([1, 2, 3])("is the tree that applying it makes (seed %d)", async (seed) => {
    await using dir = await tempDir();
    await expectSame(dir.path, packTree(randomTree(createRng(seed), { size: 150, maxFileSize: 3000 })));
  });

  it("is the same over a tar that is a file already, which is not written again", async () => {
    await using dir = await tempDir();
    // Sparse files and odd sizes: what the tar cannot serve in place is copied from there too.
    const tree = packTree(randomTree(createRng(5), { size: 60, maxFileSize: 9000 }));
    const [path, written, placed] = ["tar", "written", "placed"].map((name) => join(dir.path, name));
    writeFileSync(path!, tree, { mode: 0o444 });
    const first = await unpackErofs(piecesOf(tree), written!);
    const again = await unpackLayer(piecesOf(tree), { form: "erofs", directory: placed!, tar: path! });
    expect(again).toEqual(first);
    expect(readdirSync(placed!)).not.toContain("layer.tar");
    await placeTar(path!, placed!);
    for (const name of readdirSync(written!)) {
      expect(readFileSync(join(placed!, name)).equals(readFileSync(join(written!, name)))).toBe(true);
    }
    expect(statSync(join(placed!, "layer.tar")).ino).toBe(statSync(path!).ino);
    await expect(placeTar(join(dir.path, "missing"), placed!)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });

  it("keeps the tar to the last byte, and tells what it is", async () => {
    await using dir = await tempDir();
    const tar = Buffer.concat([packTree([directory("d"), file("d/f", "x")]), Buffer.from("what follows the archive")]);
    const done: number[] = [];
    const diffId = digestOf(tar, "sha512");
    const layer = await unpackErofs(piecesOf(tar, 700), dir.path, { diffId, onBytes: (bytes) => done.push(bytes) });
    expect(layer).toMatchObject({ diffId, size: tar.length, report: { entries: 2, files: 1, directories: 1 } });
    expect(layer.open).toEqual({ implied: [""], replay: undefined });
    expect(done.at(-1)).toBe(tar.length);
    expect(readFileSync(join(dir.path, "layer.tar")).equals(tar)).toBe(true);
    expect(readdirSync(dir.path).toSorted()).toEqual(["index.erofs", "layer.json", "layer.tar"]);
    for (const name of readdirSync(dir.path)) expect(statSync(join(dir.path, name)).mode & 0o777).toBe(0o444);
    const read = readLayer(dir.path);
    expect(read.facts).toMatchObject({ diffId, size: tar.length, entries: 2, extraSize: 0 });
    expect({ report: read.facts.report, open: read.open }).toEqual({ report: layer.report, open: layer.open });
  });

  it("gives the same index for the same tar, in whatever pieces, also over what a former try has left", async () => {
    await using dir = await tempDir();
    const tar = packTree(randomTree(createRng(9), { size: 100, maxFileSize: 9000 }));
    const names = ["layer.json", "index.erofs", "layer.tar"];
    const read = (): string[] => names.map((name) => digestOf(readFileSync(join(dir.path, name))));
    await unpackErofs(piecesOf(tar, 511), dir.path);
    const first = read();
    writeFileSync(join(dir.path, "extra"), "left");
    await unpackErofs(piecesOf(tar), dir.path);
    expect(read()).toEqual(first);
    expect(readdirSync(dir.path)).toHaveLength(3);
  });

  it("puts what lies badly into the extra file: pads that are not zeros or not there, and sparse files", async () => {
    await using dir = await tempDir();
    const [header = Buffer.of(), body = Buffer.of()] = packNode(file("padded", "p".repeat(700)));
    const sparse = {
      size: 5000,
      storedSize: 600,
      sparse: [
        { offset: 1000, length: 500 },
        { offset: 4000, length: 100 },
      ],
    };
    const [last = Buffer.of(), end = Buffer.of()] = packNode(file("cut off", "c".repeat(10)));
    const tar = Buffer.concat([
      header,
      body,
      Buffer.alloc(324, "!"),
      ...packNode(hardlink("second name", "padded")),
      encodeTarEntry({ name: "sparse", type: "file", ...sparse }),
      Buffer.alloc(600, "s"),
      tarPadding(600),
      encodeTarEntry({ name: "hole", type: "file", size: 7000, storedSize: 0, sparse: [] }),
      ...packNode(file("plain", "x")),
      last,
      end,
    ]);
    await unpackErofs(piecesOf(tar, 333), dir.path);
    const { facts } = readLayer(dir.path);
    expect(facts.extraSize).toBe(1024 + 5120 + 512);
    const listed = new Map(listIndex(content(dir.path)).map((entry) => [entry.path, entry]));
    const sum = (bytes: Uint8Array | string): string => digestOf(bytes).slice("sha256:".length);
    const whole = Buffer.alloc(5000);
    whole.fill("s", 1000, 1500).fill("s", 4000, 4100);
    expect(listed.get("padded")).toMatchObject({ sha256: sum("p".repeat(700)), linkedTo: "padded" });
    expect(listed.get("second name")).toMatchObject({ linkedTo: "padded" });
    expect(listed.get("sparse")).toMatchObject({ size: 5000, sha256: sum(whole) });
    expect(listed.get("hole")).toMatchObject({ size: 7000, sha256: sum(new Uint8Array(7000)) });
    expect(listed.get("plain")).toMatchObject({ sha256: sum("x") });
    expect(listed.get("cut off")).toMatchObject({ sha256: sum("c".repeat(10)) });
    expect(statSync(join(dir.path, "extra")).size).toBe(facts.extraSize);
    const replayed = replayLayer(emptyIndex(), readLayer(dir.path));
    expect(listIndex({ ...content(dir.path), tree: replayed })).toEqual([...listed.values()]);
  });

  it("leaves no facts where it fails: a wrong DiffID, a broken tar, a stop, a full disk", async () => {
    await using dir = await tempDir();
    const tar = packTree([directory("d"), file("d/f", Buffer.alloc(3_000_000, 1))]);
    const facts = (): boolean => readdirSync(dir.path).includes("layer.json");
    await unpackErofs(piecesOf(tar), dir.path);
    expect(facts()).toBe(true);
    const wrong = unpackErofs(piecesOf(tar), dir.path, { diffId: digestOf("another") });
    await expect(wrong).rejects.toMatchObject({ code: "DIFFID_MISMATCH" });
    expect(facts()).toBe(false);
    const cut = unpackErofs(piecesOf(tar.subarray(0, 5000)), dir.path);
    await expect(cut).rejects.toMatchObject({ code: "LAYER_INVALID" });
    const stop = new AbortController();
    const stopped = unpackErofs(piecesOf(tar), dir.path, { signal: stop.signal, onBytes: () => stop.abort("enough") });
    await expect(stopped).rejects.toBe("enough");
    expect(facts()).toBe(false);
  });

  it.skipIf(!asRoot)("says that there is no space where there is none", async ({ skip }) => {
    await using dir = await tempDir();
    using small = mountTmpfs(join(dir.path, "small"), "1m");
    if (small === undefined) return skip("cannot mount a tmpfs");
    const tar = packTree([file("f", Buffer.alloc(3_000_000, 1))]);
    const full = unpackErofs(piecesOf(tar), join(dir.path, "small/layer"));
    await expect(full).rejects.toMatchObject({ code: "NO_SPACE" });
  });

  it("is unpacked in the form that its target has", async () => {
    await using dir = await tempDir();
    const target = { form: "erofs", directory: join(dir.path, "not/there/yet") } as const;
    const tar = packTree([file("f", "x"), whiteout("gone"), opaque("d")]);
    const layer = await unpackLayer(piecesOf(tar), target);
    expect(layer.report).toMatchObject({ files: 1, whiteouts: 2 });
    const bound = bindLayer(emptyIndex(), readLayer(target.directory));
    expect([...(bound.root.children?.keys() ?? [])]).toEqual(["f"]);
  });
});

describe("reading a layer back", () => {
  const cases: [string, (path: (name: string) => string) => void][] = [
    ["a longer tar", (path) => appendFileSync(path("layer.tar"), "x")],
    ["a shorter tar", (path) => truncateSync(path("layer.tar"), 512)],
    ["another index", (path) => writeFileSync(path("index.erofs"), readFileSync(path("index.erofs")).fill(1, 1200))],
    ["no index", (path) => truncateSync(path("index.erofs"), 0)],
    ["an extra file of another size", (path) => appendFileSync(path("extra"), "x")],
    ["facts cut off", (path) => truncateSync(path("layer.json"), 100)],
    ["facts of another version", (path) => replace(path("layer.json"), '"version":1', '"version":2')],
    ["facts with a wrong digest", (path) => replace(path("layer.json"), '"diffId":"sha256:', '"diffId":"sha256:x')],
    ["facts with a wrong number", (path) => replace(path("layer.json"), '"entries":1', '"entries":-1')],
    ["facts with wrong names", (path) => replace(path("layer.json"), '"implied":[""]', '"implied":[1]')],
  ];

  it.each(cases)("tells %s", async (_, damage) => {
    await using dir = await tempDir();
    const sparse = { size: 5000, storedSize: 100, sparse: [{ offset: 4000, length: 100 }] };
    const entry = encodeTarEntry({ name: "sparse", type: "file", ...sparse });
    const tar = Buffer.concat([entry, Buffer.alloc(100), tarPadding(100), TAR_END]);
    await unpackErofs(piecesOf(tar), dir.path);
    readLayer(dir.path);
    for (const name of readdirSync(dir.path)) chmodSync(join(dir.path, name), 0o644);
    damage((name) => join(dir.path, name));
    expect(() => readLayer(dir.path)).toThrow(expect.objectContaining({ code: "INDEX_INVALID" }));
  });

  it("tells a layer that is not there", async () => {
    await using dir = await tempDir();
    expect(() => readLayer(dir.path)).toThrow(expect.objectContaining({ code: "INDEX_INVALID" }));
  });
});

function replace(path: string, from: string, to: string): void {
  const text = readFileSync(path, "utf8");
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
}
