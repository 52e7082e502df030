/**
 * A user of the library who writes to a snapshot on an image and keeps what comes of it: `node write-snapshot.ts <driver> <ChainID>`. May be
 * done again after it was cut off.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toVarveError } from "../../../src/errors/from-system.ts";
import type { Snapshots } from "../../../src/snapshot/service.ts";
import type { DriverName } from "../../../src/snapshot/types.ts";
import { withMounted } from "../../../src/snapshot/with-mounted.ts";
import { openStore } from "../../../src/store/store.ts";
import { openSnapshots } from "../../../src/transfer/snapshotter.ts";
import { directory, file, whiteout, type TreeNode } from "../../kit/trees/tree-node.ts";

export const OWN_NAME = "own";
const KEY = "being written";

/** What it does to the tree, as a layer would. */
export const OWN_CHANGES: readonly TreeNode[] = [
  whiteout("etc/release"),
  directory("own"),
  file("own/large", Buffer.alloc(300_000, "varve")),
  file("own/small", "written by a user\n"),
];

export async function writeSnapshot(snapshots: Snapshots, parent: string): Promise<void> {
  if (await snapshots.has(OWN_NAME)) return;
  for await (const { key, kind } of snapshots.walk()) if (key === KEY && kind === "active") await snapshots.remove(KEY);
  const mounts = await snapshots.prepare(KEY, parent);
  await withMounted(mounts, async (root) => {
    for (const { path, type, content } of OWN_CHANGES) {
      const at = join(root, path.replace(".wh.", ""));
      if (path.includes(".wh.")) rmSync(at);
      else if (type === "directory") mkdirSync(at);
      else writeFileSync(at, content ?? "");
    }
  });
  await snapshots.commit(OWN_NAME, KEY);
}

/** And takes it out again, whatever is there of it. */
export async function removeWritten(snapshots: Snapshots): Promise<void> {
  for await (const { key } of snapshots.walk()) if (key === OWN_NAME || key === KEY) await snapshots.remove(key);
}

if (import.meta.main) {
  const [, , driver, parent] = process.argv;
  try {
    await using store = await openStore(process.env["VARVE_ROOT"] ?? "");
    await writeSnapshot(await openSnapshots(store, driver as DriverName), parent ?? "");
  } catch (error) {
    const { code, message } = toVarveError(error, "writing a snapshot");
    console.log(JSON.stringify({ error: { code, message } }));
    process.exitCode = 1;
  }
}
