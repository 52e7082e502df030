/**
 * A file system made anew for one run, so that runs are alike: tmpfs, or ext4 in a preallocated loop file with direct I/O (an
 * ext4 that has seen a large `rm -rf` is slow for a while, and the page cache of the outer file system blurs the figures).
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";

export type DiskKind = "tmpfs" | "ext4";

export interface FreshDisk extends AsyncDisposable {
  readonly path: string;
}

/** Needs root. `gibibytes` is its size. */
export async function freshDisk(kind: DiskKind, gibibytes: number): Promise<FreshDisk> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir("varve-disk-"));
  const path = join(dir.path, "mount");
  await mkdir(path);
  if (kind === "tmpfs") {
    await runOk("mount", ["-t", "tmpfs", "-o", `size=${gibibytes}g`, "varve-bench", path]);
  } else {
    const image = join(dir.path, "disk.img");
    stack.defer(() => rm(image, { force: true }));
    await runOk("fallocate", ["-l", `${gibibytes}G`, image]);
    await runOk("mkfs.ext4", ["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], { timeoutMs: 300_000 });
    const loop = (await runOk("losetup", ["--find", "--show", "--direct-io=on", image])).stdout.toString().trim();
    stack.defer(async () => void (await runOk("losetup", ["--detach", loop])));
    await runOk("mount", [loop, path]);
  }
  stack.defer(async () => void (await runOk("umount", [path], { timeoutMs: 300_000 })));
  const owned = stack.move();
  return { path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
