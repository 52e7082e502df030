/**
 * What every driver has to make of an image's layers: unpacked each by itself and then bound, they are the tree that applying them one after
 * the other gives, to the last bit.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isVarveError } from "../../../src/errors/varve-error.ts";
import { chainIds } from "../../../src/oci/chain-id.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { hostileTars } from "../hostile-tars.ts";
import { packTree } from "../images/pack-tree.ts";
import { createRng } from "../images/rng.ts";
import { applyAll } from "../layer/apply-all.ts";
import { withoutInvalid } from "../layer/index-layers.ts";
import { mountsBelow } from "../mounts/mount-dir.ts";
import { diffTrees } from "../trees/diff-trees.ts";
import { randomLayers } from "../trees/random-layers.ts";
import { readTree, type TreeEntry } from "../trees/read-tree.ts";
import { directory, file, hardlink, opaque, symlink, whiteout, type TreeNode } from "../trees/tree-node.ts";
import { wildLayers } from "../trees/wild-layers.ts";
import { SnapshotBench, type MakeDriver } from "./bench.ts";
import { bindTars } from "./bind-tars.ts";

/** Random stacks of each kind; more of them by `VARVE_STACKS=500`. */
const COUNT = Number(process.env["VARVE_STACKS"] ?? 4);

export interface LayerCapabilities {
  /** Whether what the driver says can be mounted here. All tests are skipped where it cannot. Default true. */
  readonly mounts?: boolean;
}

export function layersSuite(name: string, makeDriver: MakeDriver, capabilities: LayerCapabilities = {}): void {
  const { mounts = true } = capabilities;
  const seeds = Array.from({ length: COUNT }, (_, index) => index + 1);

  describe.skipIf(!mounts)(`layers on ${name}${mounts ? "" : " (cannot be mounted here: skipped)"}`, () => {
    it("are what tools make at random, and come to the same as one after the other", async () => {
      for (const seed of seeds) {
        const layers = randomLayers(createRng(seed), { size: 60, layers: 6, maxFileSize: 3000 });
        await expectSequential(`seed ${seed}`, layers);
      }
    });

    it("are what no tool makes, and come to the same", async () => {
      for (const seed of seeds) await expectSequential(`seed ${seed}`, withoutInvalid(wildLayers(createRng(seed))));
    });

    it("fail where and how they fail one after the other", async () => {
      for (const seed of seeds) await expectSequential(`seed ${seed}`, wildLayers(createRng(1000 + seed)));
    });

    it.each(STACKS)("come to the same: $what", ({ layers }) => expectSequential("it", layers));

    it("of one image are shown with whatever marks the lowest has", async () => {
      await expectSequential("whiteouts", [[whiteout("gone"), directory("d"), whiteout("d/gone"), opaque("d")]]);
      await expectSequential("of nothing", [[]]);
    });

    it("stay as they are when more is written over them", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      const layers = randomLayers(createRng(7), { size: 40, layers: 3, maxFileSize: 3000 });
      const top = (
        await bindTars(
          bench.snapshots,
          layers.map((nodes) => packTree(nodes)),
        )
      ).at(-1)!;
      const before = await bench.see(top, (root) => readTree(root));
      await bench.write("active", top, (root) => {
        for (const name of readdirSync(root)) {
          try {
            writeFileSync(join(root, name), "written over");
          } catch {
            mkdirSync(join(root, `${name} more`));
          }
        }
      });
      expect(diffTrees(await bench.see(top, (root) => readTree(root)), before)).toEqual([]);
    });

    it("mount in hundreds", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      const tars = Array.from({ length: 300 }, (_, index) =>
        packTree([file("same", `${index}`), file(`own ${index}`, `of ${index}`), whiteout(`own ${index - 2}`)]),
      );
      const names = await bindTars(bench.snapshots, tars, { ready: true });
      for (const count of [127, 300]) {
        await bench.see(names[count - 1]!, (root) => {
          expect(readFileSync(join(root, "same"), "utf8")).toBe(`${count - 1}`);
          expect(readdirSync(root).toSorted()).toEqual([`own ${count - 2}`, `own ${count - 1}`, "same"]);
        });
      }
      await bench.write("active", names.at(-1), (root) => writeFileSync(join(root, "same"), "changed"));
    });

    it("are had from elsewhere when they are there already, on other parents too", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      const [one, other, plain, implying] = ADOPTED.map((nodes) => packTree(nodes)) as [Buffer, Buffer, Buffer, Buffer];
      const { driver } = bench.snapshots;
      await bindTars(bench.snapshots, [one, plain, implying]);
      const [base] = await bindTars(bench.snapshots, [other]);
      let parent: string | undefined = base;
      for (const [index, tar] of [plain, implying].entries()) {
        const adopted = await bench.snapshots.adopt(`adopted ${index}`, parent, digestOf(tar));
        if (!driver.parallel) return expect(adopted).toBeUndefined();
        expect(adopted).toMatchObject({ parent, kind: "committed" });
        parent = `adopted ${index}`;
      }
      await expectShows(bench, parent!, await sequential(bench, [other, plain, implying]));
      expect(await bench.snapshots.adopt("none", base, digestOf(Buffer.from("never unpacked")))).toBeUndefined();
    });

    it("may be in one image several times", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      const base = packTree([directory("d"), file("d/f", "from the lowest"), file("d/g", "of the lowest")]);
      const again = packTree([directory("d", { mode: 0o700 }), file("d/f", "comes twice"), file("h", "comes twice")]);
      const between = packTree([file("d/f", "between"), file("h", "between"), file("d/h", "stays")]);
      if (!bench.snapshots.driver.parallel) return;
      await bindTars(bench.snapshots, [base, again, between]);
      const names = chainIds([base, again, between, again, between, again].map((tar) => digestOf(tar)));
      for (const [index, tar] of [again, between, again].entries()) {
        await bench.snapshots.adopt(names[index + 3]!, names[index + 2], digestOf(tar));
      }
      await expectShows(bench, names[5]!, await sequential(bench, [base, again, between, again, between, again]));
      await bench.write("active", names[5], (root) => writeFileSync(join(root, "written"), ""));
    });

    it("that others have are there as long as one of them has them", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      const [base, layer, top] = [[directory("d")], [file("d/f", "1")], [file("d/g", "2")]].map((nodes) =>
        packTree(nodes),
      ) as [Buffer, Buffer, Buffer];
      if (!bench.snapshots.driver.parallel) return;
      const first = await bindTars(bench.snapshots, [base, layer]);
      const [other] = await bindTars(bench.snapshots, [top]);
      await bench.snapshots.adopt("shared", other, digestOf(layer));
      for (const name of first.toReversed()) await bench.snapshots.remove(name);
      await bench.see("shared", (root) => expect(readdirSync(join(root, "d")).toSorted()).toEqual(["f", "g"]));
    });

    it("leave nothing mounted", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      const layers = [[file("a", "1")], [hardlink("b", "a")], [whiteout("a")]];
      const names = await bindTars(
        bench.snapshots,
        layers.map((nodes) => packTree(nodes)),
      );
      await bench.write("active", names.at(-1), (root) => writeFileSync(join(root, "c"), ""));
      await bench.snapshots.commit("committed", "active");
      await bench.see("committed", (root) => expect(readdirSync(root).toSorted()).toEqual(["b", "c"]));
      expect(mountsBelow(bench.path)).toEqual([]);
    });

    // What one layer may do is told where layers are unpacked; here it is how they meet.
    it.each(hostileTars("/outside").filter(({ layers }) => layers.length > 1))(
      "stay within themselves: $name",
      ({ layers }) => expectSequential("it", layers),
    );
  });

  async function expectSequential(what: string, layers: readonly (readonly TreeNode[])[]): Promise<void> {
    await expectTars(
      what,
      layers.map((nodes) => packTree(nodes)),
    );
  }

  async function expectTars(what: string, tars: readonly Uint8Array[]): Promise<void> {
    await using bench = await SnapshotBench.open(makeDriver);
    const expected = await outcome(() => sequential(bench, tars));
    const names = await outcome(() => bindTars(bench.snapshots, tars));
    if (typeof expected === "string" || typeof names === "string") {
      return expect([what, typeof names === "string" ? names : "fine"]).toEqual([
        what,
        typeof expected === "string" ? expected : "fine",
      ]);
    }
    if (names.length > 0) await expectShows(bench, names.at(-1)!, expected, what);
    expect(mountsBelow(bench.path)).toEqual([]);
  }
}

async function sequential(bench: SnapshotBench, tars: readonly Uint8Array[]): Promise<TreeEntry[]> {
  const flat = await bench.directory();
  await applyAll(flat, tars);
  return readTree(flat);
}

async function expectShows(bench: SnapshotBench, name: string, expected: TreeEntry[], what = "it"): Promise<void> {
  const shown = await bench.see(name, (root) => readTree(root));
  expect([what, ...diffTrees(shown, expected)]).toEqual([what]);
  const written = await bench.mounted(await bench.snapshots.prepare(`over ${name}`, name), (root) => readTree(root));
  expect([`over ${what}`, ...diffTrees(written, expected)]).toEqual([`over ${what}`]);
}

async function outcome<T>(run: () => Promise<T>): Promise<T | string> {
  try {
    return await run();
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
}

const STACKS: readonly { readonly what: string; readonly layers: readonly (readonly TreeNode[])[] }[] = [
  {
    what: "a directory that is only implied keeps its mode and times",
    layers: [[directory("tmp", { mode: 0o1777, uid: 3, mtime: 5n })], [file("tmp/x", "1")], [file("tmp/y/z", "2")]],
  },
  {
    what: "names lead through links of lower layers",
    layers: [
      [directory("usr/lib"), symlink("lib", "usr/lib")],
      [file("lib/a", "1")],
      [whiteout("lib/a"), file("lib/b", "2")],
    ],
  },
  {
    what: "hard links to files of lower layers, which have several names",
    layers: [[file("a", "1"), hardlink("a2", "a")], [hardlink("b", "a")], [hardlink("d/c", "a2"), whiteout("a")]],
  },
  {
    what: "a file in the place of a directory, and the other way round",
    layers: [[file("d/f", "1"), file("f", "2")], [file("d", "3"), directory("f"), file("f/g", "4")], [file("d2", "")]],
  },
  {
    what: "opaque directories, over and over",
    layers: [
      [file("d/a", "1"), file("d/e/b", "2")],
      [opaque("d"), file("d/c", "3")],
      [opaque("d/e"), file("d/e/f", "4")],
    ],
  },
  {
    what: "an opaque root",
    layers: [
      [file("a", "1"), directory("d"), file("d/b", "2")],
      [opaque(""), file("d/c", "3")],
    ],
  },
];

const ADOPTED: readonly (readonly TreeNode[])[] = [
  [directory("d", { mode: 0o700 }), file("a", "one")],
  [directory("d", { mode: 0o1777, uid: 5, mtime: 7n }), file("b", "other")],
  [directory("", { mode: 0o755 }), directory("e"), file("e/f", "plain")],
  [file("d/new", "implies d")],
];
