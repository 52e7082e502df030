import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { piecesOf } from "../../test/kit/layer/apply-all.ts";
import { bindLayers, canMountOverlays, type BoundLayer } from "../../test/kit/layer/overlay-layers.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import {
  device,
  directory,
  fifo,
  file,
  hardlink,
  opaque,
  symlink,
  whiteout,
  type TreeNode,
} from "../../test/kit/trees/tree-node.ts";
import { digestOf } from "../oci/digest.ts";
import { xattrCalls } from "../sys/xattr.ts";
import { checkTree, type TreeCheck } from "./check-tree.ts";
import { settleImplied } from "./overlay-settle.ts";
import { unpackOverlay } from "./unpack-overlay.ts";

const LOWER = [
  directory("d", { mode: 0o1777, uid: 4, mtime: 5_000_000_000n }),
  file("d/gone"),
  file("d/e/f"),
  file("o/old"),
];
const LAYER = [
  file("d/e/new", "content", { mtime: 7n, xattrs: { "user.a": Buffer.from("1") } }),
  whiteout("d/gone"),
  directory("o"),
  opaque("o"),
  file("o/big", Buffer.alloc(3_000_000, "x")),
  hardlink("o/other", "o/big", { mtime: 9_000_000_000n }),
  file("o/twin", "twin"),
  symlink("o/link", "target"),
  fifo("o/pipe"),
  device("o/null", "char", 1, 3),
  whiteout("none/x"),
];

const tar = packTree(LAYER);

async function checked(
  spoil: (layer: string) => void,
  layers: readonly TreeNode[][] = [LOWER, LAYER],
): Promise<TreeCheck> {
  await using dir = await tempDir();
  const bound = await bindLayers(dir.path, layers);
  spoil(bound[0]?.directory ?? "");
  return check(bound, layers.at(-1) ?? []);
}

function check(bound: readonly BoundLayer[], layer: readonly TreeNode[]): Promise<TreeCheck> {
  const [directoryPath = "", ...parents] = bound.map((each) => each.directory);
  return checkTree(piecesOf(packTree(layer)), directoryPath, { parents, userXattr: false });
}

const NOTHING = { missing: [], changed: [], extra: [], more: 0, unchecked: undefined };

describe.skipIf(!canMountOverlays)("a layer's directory (needs root and overlay mounts)", () => {
  it("passes as it was settled, and the tar is told", async () => {
    expect(await checked(() => {})).toEqual({ ...NOTHING, diffId: digestOf(tar), size: tar.length });
    expect(await checked(() => {}, [LAYER])).toMatchObject(NOTHING);
  });

  it.each<[string, (at: (path: string) => string) => void, Partial<TreeCheck>]>([
    ["a file is gone", (at) => unlinkSync(at("o/twin")), { missing: ["o/twin"], changed: ['"o": other times'] }],
    [
      "a directory is gone",
      (at) => rmSync(at("d/e"), { recursive: true }),
      { missing: ["d/e"], changed: ['"d": other times'] },
    ],
    [
      "a deletion is gone",
      (at) => unlinkSync(at("d/gone")),
      { missing: ["d/.wh.gone"], changed: ['"d": other times'] },
    ],
    [
      "something stands where a deletion should",
      (at) => (unlinkSync(at("d/gone")), writeFileSync(at("d/gone"), ""), utimesSync(at("d"), 0, 5)),
      { changed: ['"d/gone": is not deleted'] },
    ],
    [
      "an opaque mark is gone",
      (at) => xattrCalls().remove(at("o"), "trusted.overlay.opaque"),
      { changed: ['"o": shows what lower layers have in it'] },
    ],
    [
      "an opaque mark is too much",
      (at) => xattrCalls().set(at("d"), "trusted.overlay.opaque", Buffer.from("y")),
      { changed: ['"d": hides what lower layers have in it'] },
    ],
    ["one byte is another", (at) => rewrite(at("o/big"), 2_500_000, "y"), { changed: ['"o/big": other content'] }],
    [
      "a file is shorter",
      (at) => keepTime(at("o/twin"), () => truncateSync(at("o/twin"), 2)),
      { changed: ['"o/twin": 2 bytes, not 4'] },
    ],
    ["a mode", (at) => chmodSync(at("o/twin"), 0o600), { changed: ['"o/twin": mode 0600, not 0644'] }],
    ["the mode of an implied directory", (at) => chmodSync(at("d"), 0o755), { changed: ['"d": mode 0755, not 01777'] }],
    ["an owner", (at) => chownSync(at("d/e"), 1, 2), { changed: ['"d/e": owner 1:2, not 0:0'] }],
    ["a time", (at) => utimesSync(at("o/twin"), 1, 1), { changed: ['"o/twin": other times'] }],
    [
      "an attribute",
      (at) => xattrCalls().set(at("d/e/new"), "user.a", Buffer.from("2")),
      { changed: ['"d/e/new": other extended attribute "user.a"'] },
    ],
    [
      "an attribute more",
      (at) => xattrCalls().set(at("o"), "user.b", Buffer.from("2")),
      { changed: ['"o": other extended attribute "user.b"'] },
    ],
  ])("%s", async (_, spoil, wanted) => {
    const seen = await checked((layer) => spoil((path) => join(layer, path)));
    expect(seen).toMatchObject({ ...NOTHING, ...wanted });
  });

  it("types, targets, names of one file, and what is too much", async () => {
    const seen = await checked((layer) => {
      const at = (path: string): string => join(layer, path);
      for (const path of ["o/pipe", "o/link", "o/null", "o/other", "o/twin"]) unlinkSync(at(path));
      mkdirSync(at("o/pipe"));
      symlinkSync("elsewhere", at("o/link"));
      lutimesSync(at("o/link"), 1_700_000_000, 1_700_000_000);
      writeFileSync(at("o/null"), "");
      writeFileSync(at("o/other"), "");
      linkSync(at("o/big"), at("o/twin"));
      writeFileSync(at("o/more"), "");
      mkdirSync(at("none"));
    });
    expect({ ...seen, changed: seen.changed.toSorted() }).toMatchObject({
      missing: [],
      extra: ["o/more", "none"],
      changed: [
        '"/": other times',
        '"o": other times',
        '"o/link": leads to "elsewhere", not "target"',
        '"o/null": file, not char',
        '"o/other": is a file of its own',
        '"o/pipe": directory, not fifo',
        '"o/twin": is one file with another name',
      ],
    });
  });

  it("that an opaque root hides is looked after name by name", async () => {
    const layers = [LOWER, [opaque(""), file("new"), directory("d")]];
    expect(await checked(() => {}, layers)).toMatchObject(NOTHING);
    const seen = await checked((layer) => unlinkSync(join(layer, "o")), layers);
    expect(seen.missing).toEqual([".wh.o"]);
  });

  it("that was applied onto its parents cannot be told from its tar", async () => {
    const linked = [hardlink("new", "o/old")];
    expect((await checked(() => {}, [LOWER, linked])).unchecked).toMatch(/hard link|not in the layer/);
    const through = [file("to/new")];
    const seen = await checked(() => {}, [[...LOWER, symlink("to", "d")], through]);
    expect(seen).toMatchObject({ missing: [], extra: [], unchecked: expect.stringMatching(/no directory at "to"/) });
  });

  it("that is damaged all over is told of in bounded lists", async () => {
    const many = Array.from({ length: 150 }, (_, index) => file(`n${index}`, "1"));
    const seen = await checked((layer) => many.forEach(({ path }) => unlinkSync(join(layer, path))), [many]);
    expect(seen.missing).toHaveLength(100);
    expect(seen.more).toBe(50);
  });

  it("is not read on when the check is stopped", async () => {
    await using dir = await tempDir();
    const bound = await bindLayers(dir.path, [LAYER]);
    const stop = new AbortController();
    const seen = checkTree(piecesOf(tar), bound[0]?.directory ?? "", {
      parents: [],
      userXattr: false,
      signal: stop.signal,
      onBytes: (done) => done === tar.length && stop.abort("enough"),
    });
    await expect(seen).rejects.toBe("enough");
  });

  it.skipIf(findPeer("tar") === undefined)("with sparse files is compared too", async () => {
    await using dir = await tempDir();
    const [source, archive, layer] = [join(dir.path, "source"), join(dir.path, "a.tar"), join(dir.path, "layer")];
    mkdirSync(source);
    const sparseFile = openSync(join(source, "sparse"), "w");
    writeSync(sparseFile, "start", 0);
    writeSync(sparseFile, "middle", 2_000_000);
    ftruncateSync(sparseFile, 3_000_000);
    closeSync(sparseFile);
    utimesSync(join(source, "sparse"), 5, 5);
    await runOk("tar", ["--create", "--sparse", "--format=posix", "-C", source, "-f", archive, "sparse"]);
    const sparse = readFileSync(archive);
    expect(sparse.length).toBeLessThan(100_000);
    mkdirSync(layer);
    const { open } = await unpackOverlay(piecesOf(sparse), { form: "overlay", directory: layer, userXattr: false });
    settleImplied({ directory: layer, open, parents: [], userXattr: false });
    const again = (): Promise<TreeCheck> => checkTree(piecesOf(sparse), layer, { parents: [], userXattr: false });
    expect(await again()).toMatchObject(NOTHING);
    rewrite(join(layer, "sparse"), 2_000_001, "x");
    expect((await again()).changed).toEqual(['"sparse": other content']);
  });
});

/** As long as it is of whole seconds. */
function keepTime(path: string, change: () => void): void {
  const { atimeMs, mtimeMs } = statSync(path);
  change();
  utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
}

/** Bit rot: the content changes, and nothing else. */
function rewrite(path: string, position: number, content: string): void {
  keepTime(path, () => {
    const bytes = readFileSync(path);
    bytes.write(content, position);
    writeFileSync(path, bytes);
  });
}
