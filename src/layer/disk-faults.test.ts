import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { run } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { directory, file, symlink, type TreeNode } from "../../test/kit/trees/tree-node.ts";

const unshare = findPeer("unshare");
const PROGRAM = join(import.meta.dirname, "../../test/kit/layer/apply-as.ts");
const many = Array.from({ length: 300 }, (_, index) => file(`d/f${index}`));

// A mount namespace of its own: nothing is left mounted, however the test ends.
describe.skipIf(process.getuid?.() !== 0 || unshare === undefined)("a file system that fails (needs root)", () => {
  it.each<[string, string, string, TreeNode[]]>([
    ["is full of data", "size=64k", "NO_SPACE", [file("f", Buffer.alloc(1_000_000, 1))]],
    ["is full of files", "nr_inodes=50", "NO_SPACE", many],
    ["is full of directories", "nr_inodes=50", "NO_SPACE", many.map(({ path }) => directory(path))],
    ["is full of links", "nr_inodes=50", "NO_SPACE", many.map(({ path }) => symlink(path, "x".repeat(200)))],
    ["can only be read", "ro", "PERMISSION", [file("f", "x")]],
  ])("because it %s is a coded error that names the member", async (_, options, code, layer) => {
    await using dir = await tempDir();
    const root = join(dir.path, "root");
    mkdirSync(root);
    writeFileSync(join(dir.path, "t.tar"), packTree(layer));
    const script = `mount -t tmpfs -o ${options} none "$1" && shift && exec "$@"`;
    const args = ["--mount", "sh", "-c", script, "sh", root, process.execPath, PROGRAM, root, join(dir.path, "t.tar")];
    const { code: exit, stderr } = await run(unshare ?? "", args);
    expect(exit).toBe(1);
    expect(stderr).toContain(`code: '${code}'`);
    expect(stderr).toMatch(/VarveError: cannot apply (the layer|".*"): E(NOSPC|ROFS)/);
  });
});
