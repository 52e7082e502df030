/** A tar of this system's own files, for benchmarks that want real content. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Packs some `megabytes` of /usr: every so many of its files, so that all kinds are among them as they are there, and all other members. */
export async function packSystem(path: string, megabytes: number): Promise<string> {
  const { stdout } = await run("find", ["/usr", "-xdev", "-printf", "%y %s %p\\0"], { maxBuffer: 1 << 30 });
  const members = stdout
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => /^(.) (\d+) ([^]*)$/.exec(line)!)
    .map(([, type, size, name]) => ({ isFile: type === "f", size: Number(size), name: name! }));
  const files = members.filter(({ isFile }) => isFile);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const share = Math.min(1, (megabytes * 1e6) / total);
  let due = 0;
  const chosen = members.filter(({ isFile, size }) => {
    if (!isFile) return false;
    // Large files are counted by their bytes, so that one of them cannot be all there is.
    due += size * share;
    if (due < size) return false;
    due -= size;
    return true;
  });
  const list = `${path}.list`;
  await writeFile(list, chosen.map(({ name }) => `${name}\0`).join(""));
  await run("tar", ["--null", "--no-recursion", "--hard-dereference", "-cPf", path, "-T", list]);
  return path;
}
