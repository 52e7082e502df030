import { closeSync, fstatSync, ftruncateSync, lstatSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRng } from "../../test/kit/images/rng.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { expectedTree } from "../../test/kit/trees/expected-tree.ts";
import { randomTree } from "../../test/kit/trees/random-tree.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { dataExtents } from "../sys/sparse.ts";

const asRoot = process.getuid?.() === 0;
const gnuTar = findPeer("tar");
const SEEDS = [1, 2, 3, 4, 5, 6];

describe.skipIf(!asRoot)("random trees (need root)", () => {
  it.each(SEEDS)("seed %d: through our own tar, in three formats' worth of names", async (seed) => {
    await using dir = await tempDir();
    const nodes = randomTree(createRng(seed), { size: 150, maxFileSize: 20_000 });
    await applyAll(dir.path, [nodes]);
    expect(diffTrees(await readTree(dir.path), expectedTree([nodes]), { root: false })).toEqual([]);
  });

  it.skipIf(gnuTar === undefined).each(SEEDS)("seed %d: through GNU tar, the root too", async (seed) => {
    await using dir = await tempDir();
    const [one, other, tar] = [join(dir.path, "one"), join(dir.path, "other"), join(dir.path, "t.tar")];
    mkdirSync(one);
    mkdirSync(other);
    const nodes = randomTree(createRng(seed * 1000), { size: 150, maxFileSize: 20_000 });
    await applyAll(one, [nodes]);
    await runOk(gnuTar ?? "", [
      "--create",
      "--format=posix",
      "--xattrs",
      "--numeric-owner",
      "--sparse",
      "-C",
      one,
      "-f",
      tar,
      ".",
    ]);
    await applyAll(other, [readFileSync(tar)]);
    expect(diffTrees(await readTree(one), await readTree(other))).toEqual([]);
  });

  it("applied twice over themselves are the same again", async () => {
    await using dir = await tempDir();
    const nodes = randomTree(createRng(99), { size: 150, maxFileSize: 5000 });
    await applyAll(dir.path, [nodes, nodes]);
    expect(diffTrees(await readTree(dir.path), expectedTree([nodes, nodes]), { root: false })).toEqual([]);
  });
});

describe.skipIf(gnuTar === undefined)("sparse files", () => {
  const MIB = 1024 * 1024;

  it.each(["gnu", "posix 0.0", "posix 0.1", "posix 1.0"])(
    "of GNU tar's %s form come out whole, with their holes",
    async (form) => {
      await using dir = await tempDir();
      const [format, version] = form.split(" ");
      const source = openSync(join(dir.path, "f"), "w+");
      // More runs than the header's four and one extension block hold; a hole first and last.
      for (let run = 0; run < 40; run++)
        writeSync(source, Buffer.alloc(5000 + run, 65 + run), 0, 5000 + run, MIB * (run + 1));
      ftruncateSync(source, 50 * MIB);
      closeSync(source);
      const tar = join(dir.path, "t.tar");
      const options = [
        "--sparse",
        `--format=${format}`,
        ...(version === undefined ? [] : [`--sparse-version=${version}`]),
      ];
      await runOk(gnuTar ?? "", ["--create", ...options, "-C", dir.path, "-f", tar, "f"]);
      const root = join(dir.path, "root");
      mkdirSync(root);
      const report = await applyAll(root, [readFileSync(tar)]);
      expect(report.bytes).toBe(50 * MIB);
      expect(readFileSync(join(root, "f")).equals(readFileSync(join(dir.path, "f")))).toBe(true);
      const made = openSync(join(root, "f"), "r");
      expect([...dataExtents(made, fstatSync(made).size)].length).toBe(40);
      closeSync(made);
      expect(lstatSync(join(root, "f")).blocks * 512).toBeLessThan(MIB);
    },
  );

  it("that are all hole, or empty, need no data", async () => {
    await using dir = await tempDir();
    const source = openSync(join(dir.path, "hole"), "w");
    ftruncateSync(source, 2 ** 40);
    closeSync(source);
    const tar = join(dir.path, "t.tar");
    await runOk(gnuTar ?? "", ["--create", "--sparse", "--format=posix", "-C", dir.path, "-f", tar, "hole"]);
    const root = join(dir.path, "root");
    mkdirSync(root);
    await applyAll(root, [readFileSync(tar)]);
    const { size, blocks } = lstatSync(join(root, "hole"));
    expect([size, blocks * 512 < MIB]).toEqual([2 ** 40, true]);
  });
});

describe("sizes", () => {
  it("that a PAX record gives rule the payload, whatever the header says", async () => {
    await using dir = await tempDir();
    const tar = packTree([
      { type: "file", path: "f", content: Buffer.alloc(1000, 1) },
      { type: "file", path: "g" },
    ]);
    const [header, rest] = [Buffer.from(tar.subarray(0, 512)), tar.subarray(512)];
    header.write("00000000000\0", 124, "latin1");
    const record = paxBlocks("12 size=1000\n".length, "13 size=1000\n");
    await applyAll(dir.path, [Buffer.concat([record, sealed(header), rest])]);
    expect([lstatSync(join(dir.path, "f")).size, lstatSync(join(dir.path, "g")).size]).toEqual([1000, 0]);
  });
});

function paxBlocks(length: number, records: string): Buffer {
  const header = Buffer.from(packTree([{ type: "file", path: "pax" }]).subarray(0, 512));
  header.write("x", 156, "latin1");
  header.write(`${length.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  const payload = Buffer.alloc(512);
  payload.write(records, "latin1");
  return Buffer.concat([sealed(header), payload]);
}

function sealed(header: Buffer): Buffer {
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}
