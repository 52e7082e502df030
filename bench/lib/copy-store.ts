/** Copies of stores for runs that start from the same one. */
import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "../../test/kit/peers/run.ts";

/** What is never written again is linked; the rest is copied. What was at `to` goes. */
export async function copyStore(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mkdir(to);
  for (const { name, parentPath } of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(parentPath, name), join(to, name)];
    if (["blobs", "layers", "snapshots"].includes(name)) await runOk("cp", ["-al", source, target]);
    else await cp(source, target, { recursive: true });
  }
  await runOk("sync", ["-f", to], { timeoutMs: 600_000 });
}
