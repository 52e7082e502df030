/** The programs of e2fsprogs, which make, change, grow and check ext4 in a file without mounting it. */
import { dirname, join } from "node:path";
import { findPeer } from "../peers.ts";
import { run, runOk, type RunResult } from "../peers/run.ts";

/** Whether they are here. */
export const hasExt4Tools = findPeer("mkfs.ext4") !== undefined;

const MINUTES = 60_000;

function tool(name: string): string {
  const maker = findPeer("mkfs.ext4");
  if (maker === undefined) throw new Error("e2fsprogs is not installed");
  return join(dirname(maker), name);
}

/** Makes a sparse file of `bytes` with ext4 in it that has what `tree` has; equal trees make equal disks, but for times of change. */
export async function makeExt4(path: string, bytes: number, tree: string): Promise<void> {
  const id = "6e1b0c52-8a3d-4f5e-9b7a-2d9c8e4f1a60";
  const options = ["-q", "-F", "-t", "ext4", "-U", id, "-E", `hash_seed=${id}`, "-d", tree];
  await runOk(tool("mke2fs"), [...options, path, `${Math.floor(bytes / 1024)}k`], {
    env: { E2FSPROGS_FAKE_TIME: "1790000000" },
    timeoutMs: 20 * MINUTES,
  });
}

/**
 * Carries out the commands of debugfs(8), in their order.
 * @param writing whether they may change the file
 * @throws Error when one of them fails, as far as debugfs says so
 */
export async function editExt4(path: string, commands: readonly string[], writing = true): Promise<void> {
  const args = [...(writing ? ["-w"] : []), "-f", "-", path];
  const { stderr } = await runOk(tool("debugfs"), args, {
    input: commands.map((command) => `${command}\n`).join(""),
    timeoutMs: 10 * MINUTES,
  });
  // It ends with 0 whatever happened, and names itself first.
  const said = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("debugfs 1."));
  if (said.length > 0) throw new Error(`debugfs says: ${said.slice(0, 5).join("; ")}`);
}

/** Makes disk and file system larger. @param bytes of the disk then */
export async function growExt4(path: string, bytes: number): Promise<void> {
  await runOk("truncate", ["-s", String(bytes), path]);
  await runOk(tool("resize2fs"), ["-f", path], { timeoutMs: 10 * MINUTES });
}

/** Checks everything and changes nothing; code 0 when all is right. */
export function checkExt4(path: string): Promise<RunResult> {
  return run(tool("e2fsck"), ["-f", "-n", path], { timeoutMs: 10 * MINUTES });
}
