/**
 * The programs of erofs-utils as peers. They are not among those that `VARVE_REQUIRE_PEERS=1` asks for, because what distributions have
 * is often older than blocks of 512 bytes (Debian 12: 1.5): their tests are skipped, and say so.
 */
import { spawnSync } from "node:child_process";
import { run } from "../peers/run.ts";

type Program = "fsck.erofs" | "mkfs.erofs";

/** The program's name when it is there and 1.7 or newer, else undefined. */
export function findErofsUtil(program: Program): string | undefined {
  const { error, stdout, stderr } = spawnSync(program, ["--version"], { encoding: "utf8" });
  if (error !== undefined) return undefined;
  // Some versions print to one, some to the other, and there is a "v" in some.
  const [, major = "0", minor = "0"] = /\bv?(\d+)\.(\d+)/.exec(`${stdout} ${stderr}`) ?? [];
  const isRecent = Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 7);
  if (!isRecent) console.log(`${program} is older than 1.7, its tests are SKIPPED`);
  return isRecent ? program : undefined;
}

/** What fsck.erofs finds wrong; it ends well in spite of much, and says so in lines of their own. */
export async function fsckIndex(index: string, devices: readonly string[], args: readonly string[]): Promise<string[]> {
  const named = devices.map((device) => `--device=${device}`);
  const { code, stderr, stdout } = await run("fsck.erofs", [...named, ...args, index]);
  const said = `${stderr}\n${stdout.toString()}`.split("\n").filter((line) => /<[EW]>/.test(line));
  return code === 0 ? said : [`fsck.erofs ended with ${code}`, ...said];
}
