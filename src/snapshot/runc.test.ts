/** A container runtime on what the drivers mount: an image as it is, read-only, and one that a container writes to. */
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountsBelow } from "../../test/kit/mounts/mount-dir.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { run, runOk, type RunResult } from "../../test/kit/peers/run.ts";
import { SnapshotBench } from "../../test/kit/snapshot/bench.ts";
import { bindTars } from "../../test/kit/snapshot/bind-tars.ts";
import { directory, file, symlink, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import { openDriver } from "./drivers.ts";
import { mountAll, unmount } from "./mount-all.ts";
import type { DriverName, Mount } from "./types.ts";

const runc = findPeer("runc");

/** A program of this machine with the libraries that it needs. */
async function programs(...paths: string[]): Promise<TreeNode[]> {
  const needed = new Set(paths);
  for (const path of paths) {
    const { stdout } = await runOk("ldd", [path]);
    for (const [library] of stdout.toString().matchAll(/\/\S+/g)) if (library !== `${path}:`) needed.add(library);
  }
  return [...needed].map((path) => file(path.slice(1), readFileSync(path), { mode: 0o755 }));
}

describe.skipIf(runc === undefined || !canMount())("runc", () => {
  it.each<DriverName>(["erofs", "overlay"])("runs what %s mounts", async (name) => {
    await using bench = await SnapshotBench.open((store) => openDriver(name, store));
    const tars = [
      [
        ...(await programs("/bin/cat", "/bin/sh", "/usr/bin/id")),
        directory("tmp", { mode: 0o1777 }),
        directory("proc"),
        directory("dev"),
        file("etc/passwd", "u:x:7:8::/:/bin/sh\n"),
      ],
      [symlink("link", "greeting"), file("greeting", "from the upper layer\n", { mode: 0o600 })],
    ].map((nodes) => packTree(nodes));
    const [, top] = await bindTars(bench.snapshots, tars, { ready: true });

    const read = await container(bench, await bench.snapshots.view("view", top), true, "cat /link; echo x > /new");
    expect(read.stderr).toContain("Read-only file system");
    expect(read.stdout.toString()).toBe("from the upper layer\n");

    const mounts = await bench.snapshots.prepare("active", top);
    const written = await container(bench, mounts, false, "id -u; echo changed > /greeting && echo new > /tmp/new");
    expect({ stderr: written.stderr, code: written.code }).toEqual({ stderr: "", code: 0 });
    await bench.snapshots.commit("written", "active");
    await bench.see("written", (root) => {
      expect(readFileSync(join(root, "link"), "utf8")).toBe("changed\n");
      expect(readFileSync(join(root, "tmp/new"), "utf8")).toBe("new\n");
    });
    expect(mountsBelow(bench.path)).toEqual([]);
  });
});

async function container(
  bench: SnapshotBench,
  mounts: readonly Mount[],
  readonly: boolean,
  script: string,
): Promise<RunResult> {
  const bundle = await bench.directory();
  const rootfs = join(bundle, "rootfs");
  mkdirSync(rootfs);
  await runOk(runc!, ["spec", "--bundle", bundle]);
  const path = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as {
    process: { terminal: boolean; args: string[] };
    root: { readonly: boolean };
    mounts: { destination: string }[];
  };
  config.process.terminal = false;
  config.process.args = ["/bin/sh", "-c", script];
  config.root.readonly = readonly;
  // The directories of the others are not in the image, and cannot be made in one that is read-only.
  config.mounts = config.mounts.filter(({ destination }) => ["/proc", "/dev"].includes(destination));
  writeFileSync(path, JSON.stringify(config));
  await mountAll(mounts, rootfs);
  const id = `varve-${randomUUID()}`;
  const state = ["--root", join(bundle, "state")];
  try {
    return await run(runc!, [...state, "run", "--bundle", bundle, id]);
  } finally {
    await run(runc!, [...state, "delete", "--force", id]);
    await unmount(rootfs);
  }
}
