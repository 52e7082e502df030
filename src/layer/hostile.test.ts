/** Tars that nobody wrote by hand: random members over few names, and valid tars with random damage. */
import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import type { TreeNode } from "../../test/kit/trees/tree-node.ts";
import { isVarveError } from "../errors/varve-error.ts";
import { withoutFfi } from "../sys/libc.ts";

interface Scene {
  readonly root: string;
  readonly canary: string;
  /** What the canary is, to the nanosecond. */
  look(): unknown;
}

function scene(parent: string): Scene {
  const [root, canary] = [join(parent, "root"), join(parent, "canary")];
  mkdirSync(root, { recursive: true });
  mkdirSync(join(canary, "a"), { recursive: true });
  writeFileSync(join(canary, "f"), "canary", { mode: 0o400 });
  writeFileSync(join(canary, "a/f"), "canary");
  const look = (): unknown => [
    readdirSync(parent).toSorted(),
    ...[".", "f", "a", "a/f"].map((name) => {
      const { ino, mode, uid, gid, mtimeNs, ctimeNs, nlink, size } = lstatSync(join(canary, name), { bigint: true });
      return [name, ino, mode, uid, gid, mtimeNs, ctimeNs, nlink, size];
    }),
    readdirSync(canary, { recursive: true, encoding: "utf8" }).toSorted(),
    readFileSync(join(canary, "f"), "utf8"),
  ];
  return { root, canary, look };
}

/** A place that can be removed again although tars may shut directories to their owner. */
async function playground(): Promise<TempDir> {
  const dir = await tempDir();
  const dispose = async (): Promise<void> => {
    execFileSync("chmod", ["-R", "u+rwx", dir.path]);
    await dir[Symbol.asyncDispose]();
  };
  return { path: dir.path, [Symbol.asyncDispose]: dispose };
}

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Applies; whatever happens must be a coded error, and nothing outside may change. */
async function attempt(at: Scene, layers: readonly Uint8Array[]): Promise<void> {
  const before = at.look();
  const descriptors = openDescriptors();
  try {
    await applyAll(at.root, layers, { limits: { entries: 1000, bytes: 2 ** 24 } });
  } catch (error) {
    if (!isVarveError(error, "LAYER_INVALID") && !isVarveError(error, "LAYER_LIMIT")) throw error;
  }
  expect(at.look()).toEqual(before);
  expect(openDescriptors()).toBe(descriptors);
}

const component = fc.constantFrom(
  "a",
  "b",
  "l",
  "f",
  "..",
  ".",
  "canary",
  "",
  ".wh.a",
  ".wh.l",
  ".wh..wh..opq",
  ".wh.canary",
);
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

function member(canary: string): fc.Arbitrary<TreeNode> {
  const target = fc.oneof(
    path,
    fc.constantFrom(
      "../canary",
      "/",
      "..",
      canary,
      `${canary}/f`,
      "../canary/f",
      `${canary}/a`,
      "../../..",
      "a",
      "l",
      "/l",
    ),
  );
  const type = fc.constantFrom(
    "file",
    "file",
    "directory",
    "symlink",
    "symlink",
    "link",
    "fifo",
    "char",
  ) as fc.Arbitrary<TreeNode["type"]>;
  return fc.record({
    type,
    path: fc.oneof(
      path,
      path.map((text) => `/${text}`),
      fc.constant(`${canary}/f`),
    ),
    target,
    mode: fc.constantFrom(0o777, 0o4755, 0, 0o2777),
    uid: fc.constantFrom(0, 5),
    mtime: fc.constant(1n),
    major: fc.constantFrom(0, 1, 2 ** 20),
    content: fc.constantFrom(Buffer.from(""), Buffer.from("pwned")),
  });
}

describe("random members in random order", () => {
  it.each([
    { how: "foreign calls", plain: false, numRuns: 250 },
    { how: "plain Node", plain: true, numRuns: 80 },
  ])("never change what lies beside the root, and end in a coded error or none ($how)", async ({ plain, numRuns }) => {
    await using dir = await playground();
    using _mode = plain ? withoutFfi() : undefined;
    let run = 0;
    const canary = join(dir.path, "0", "canary");
    const layer = fc.array(member(canary), { maxLength: 14 });
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 3 }), async (layers) => {
        const at = scene(join(dir.path, String(run++ === 0 ? 0 : run)));
        await attempt(
          at,
          layers.map((nodes) => packTree(nodes.map(sane))),
        );
      }),
      { numRuns },
    );
  });
});

/** The encoder refuses what no tar can say. */
function sane(node: TreeNode): TreeNode {
  const links = node.type === "symlink" || node.type === "link";
  const { target, ...rest } = node;
  return links ? { ...rest, target: target === undefined || target === "" ? "x" : target } : rest;
}

describe("damaged tars", () => {
  const sample = packTree([
    { type: "directory", path: "d" },
    { type: "symlink", path: "d/l", target: "../../canary" },
    { type: "file", path: "d/l/f", content: Buffer.alloc(700, 1) },
    { type: "link", path: "h", target: "d/l/f" },
    { type: "file", path: "x".repeat(120), xattrs: { "user.a": Buffer.from("b") } },
    { type: "symlink", path: "d", target: "/" },
    { type: "file", path: "d/canary/a/f", content: Buffer.from("pwned") },
    { type: "file", path: "d/.wh.canary" },
  ]);
  const damage = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });

  it("never change what lies beside the root, never hang, and end in a coded error or none", async () => {
    await using dir = await playground();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(damage, fc.boolean(), fc.nat(sample.length), async (changes, seal, end) => {
        const tar = Buffer.from(sample);
        for (const [at, byte] of changes) tar[at] = byte;
        if (seal) sealAll(tar);
        await attempt(scene(join(dir.path, String(run++))), [tar.subarray(0, end < 1000 ? end + 1 : tar.length)]);
      }),
      { numRuns: 300 },
    );
  });
});

/** Makes every block's checksum right, so that damage reaches further than the first check. */
function sealAll(tar: Buffer): void {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    const block = tar.subarray(at, at + 512);
    if (block.toString("latin1", 257, 262) !== "ustar") continue;
    block.fill(" ", 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
}
