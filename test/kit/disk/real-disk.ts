/**
 * A disk as machines have it: a system's files in ext4, in a sparse raw file that is much longer than what is in it. And what some weeks of
 * updates make of it: packages' files are replaced, some go, some are new, and the disk has grown. Without mounting anything.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createRng, type Rng } from "../images/rng.ts";
import { runOk } from "../peers/run.ts";
import { tempDir } from "../temp-dir.ts";
import { editExt4, growExt4, makeExt4 } from "./ext4-tools.ts";
import { chooseSystemFiles, type SystemFile } from "./system-files.ts";

export interface RealDiskOptions {
  /** Of the disk. */
  readonly bytes: number;
  /** Of the files on it, about. */
  readonly dataBytes: number;
}

export interface RealDisk {
  readonly path: string;
  readonly bytes: number;
  readonly files: readonly SystemFile[];
}

/** @param path of the file, which is made */
export async function makeRealDisk(path: string, { bytes, dataBytes }: RealDiskOptions): Promise<RealDisk> {
  await using dir = await tempDir("varve-real-disk-");
  const files = await chooseSystemFiles(dataBytes);
  const [list, tree] = [join(dir.path, "list"), join(dir.path, "tree")];
  await writeFile(list, files.map((file) => `${file.path.slice(1)}\0`).join(""));
  await mkdir(tree);
  const pack = `tar -C / --null --no-recursion --hard-dereference -cf - -T "$1" | tar -C "$2" -xf -`;
  await runOk("sh", ["-c", pack, "sh", list, tree], { timeoutMs: 600_000 });
  await makeExt4(path, bytes, tree);
  return { path, bytes, files };
}

export interface UpgradeOptions {
  readonly seed: number;
  /** Files that get other content, of much the same kind and length. */
  readonly replaced: number;
  readonly removed: number;
  readonly added: number;
  /** Of the disk afterwards; at least what it has. Default: it does not grow. */
  readonly bytes?: number;
}

/** Files that may be named in commands as they are. */
const PLAIN = /^[\w./+-]+$/;
const SMALLEST = 2000;

/** The disk after an upgrade, in a file of its own. @param path of the file, which is made */
export async function upgradeDisk(disk: RealDisk, path: string, options: UpgradeOptions): Promise<RealDisk> {
  const { seed, replaced, removed, added, bytes = disk.bytes } = options;
  await using dir = await tempDir("varve-real-disk-");
  const rng = createRng(seed);
  const plain = disk.files.filter((file) => PLAIN.test(file.path) && file.size >= SMALLEST);
  const chosen = draw(plain, replaced + removed, rng);
  const [others, gone] = [chosen.slice(0, replaced), chosen.slice(replaced)];
  const commands = gone.map((file) => `rm ${file.path}`);
  const put = async (to: string, content: Buffer): Promise<void> => {
    const from = join(dir.path, String(commands.length));
    await writeFile(from, content);
    commands.push(`cd ${dirname(to)}`, `write ${from} ${to.split("/").at(-1)}`);
  };
  await runOk("cp", ["--sparse=always", disk.path, path], { timeoutMs: 600_000 });
  const old = await readOut(disk, others, dir.path);
  for (const [index, file] of others.entries()) {
    commands.push(`rm ${file.path}`);
    await put(file.path, nextVersion(await readFile(old[index]!), rng));
  }
  for (let index = 0; index < added; index++) {
    const folder = dirname(rng.pick(plain).path);
    const length = rng.between(500, 150_000);
    await put(`${folder}/new-${index}`, rng.chance(0.5) ? rng.text(length) : rng.bytes(length));
  }
  await editExt4(path, commands);
  if (bytes > disk.bytes) await growExt4(path, bytes);
  return { path, bytes, files: disk.files.filter((file) => !gone.includes(file)) };
}

/** Each of them once. */
function draw(files: readonly SystemFile[], count: number, rng: Rng): SystemFile[] {
  const left = [...files];
  const drawn: SystemFile[] = [];
  while (drawn.length < count && left.length > 0) {
    const at = rng.int(left.length);
    drawn.push(left[at]!);
    left[at] = left.at(-1)!;
    left.pop();
  }
  return drawn;
}

/** @returns where their content is now */
async function readOut({ path }: RealDisk, files: readonly SystemFile[], dir: string): Promise<string[]> {
  const places = files.map((_, index) => join(dir, `old-${index}`));
  await editExt4(
    path,
    files.map((file, index) => `dump ${file.path} ${places[index]}`),
    false,
  );
  return places;
}

/** As a program built anew: addresses differ here and there, and somewhere is a little more. */
function nextVersion(content: Buffer, rng: Rng): Buffer {
  const edited = Buffer.from(content);
  const places = Math.ceil(content.length / 20_000);
  for (let index = 0; index < places; index++) {
    const length = Math.min(edited.length, rng.between(4, 300));
    rng.bytes(length).copy(edited, rng.int(edited.length - length + 1));
  }
  const middle = rng.int(edited.length + 1);
  return Buffer.concat([edited.subarray(0, middle), rng.text(rng.between(1, 500)), edited.subarray(middle)]);
}
