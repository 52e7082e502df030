/** What programs do to a tree, at random: for "a layer of what was done, applied to what was there, gives what is there now". */
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
  openSync,
  closeSync,
  constants,
  type Stats,
} from "node:fs";
import { AT_FDCWD, atCalls, type FileTime } from "../../../src/sys/at.ts";
import { decodeName, systemName } from "../../../src/sys/path-bytes.ts";
import { xattrCalls } from "../../../src/sys/xattr.ts";
import type { Rng } from "../images/rng.ts";

const NAMES = ["new", "näw", "odd\udcff", "n".repeat(120), "z", "A", "..x", "line\nbreak", "new.d"];

interface Found {
  readonly path: string;
  readonly stats: Stats;
}

/** Does `count` things to the tree; what a file system refuses (a directory renamed in an overlay) is left out. */
export function randomEdits(rng: Rng, root: string, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const found = listTree(root);
    try {
      editOnce(rng, root, found, index);
    } catch (error) {
      if (
        !["EXDEV", "EEXIST", "ENOTEMPTY", "EINVAL", "EISDIR", "ENOTDIR", "EPERM"].includes(
          (error as { code: string }).code,
        )
      ) {
        throw error;
      }
    }
  }
}

function editOnce(rng: Rng, root: string, found: readonly Found[], index: number): void {
  const directories = [root, ...found.filter(({ stats }) => stats.isDirectory()).map(({ path }) => path)];
  const files = found.filter(({ stats }) => stats.isFile());
  const fresh = `${rng.pick(directories)}/${rng.pick(NAMES)}${rng.int(1000)}`;
  const any = found.length === 0 ? undefined : rng.pick(found);
  const file = files.length === 0 ? undefined : rng.pick(files);
  const kind = rng.int(21);
  if (kind < 3) writeFileSync(at(fresh), rng.bytes(rng.int(5000)));
  else if (kind === 3) mkdirSync(at(fresh), { mode: rng.pick([0o755, 0o1777, 0o2755]) });
  else if (kind === 4) symlinkSync(at(rng.pick(["a/b", "/etc", "../x", "t".repeat(200)])), at(fresh));
  else if (kind === 5) makeNode(rng, fresh);
  else if (any === undefined || file === undefined) return;
  else if (kind === 6) writeFileSync(at(file.path), rng.bytes(rng.int(5000)));
  else if (kind === 7) spoilByte(file);
  else if (kind === 8) rmSync(at(any.path), { recursive: true });
  else if (kind === 9) rmSync(at(any.path), { recursive: true, force: true });
  else if (kind === 10) renameSync(at(any.path), at(fresh));
  else if (kind === 11) renameSync(at(file.path), at(rng.pick(files).path));
  else if (kind < 14) linkSync(at(rng.chance(0.8) ? file.path : any.path), at(fresh));
  else if (kind === 14) recreate(rng, any);
  else if (kind === 15) chmodSync(at(file.path), rng.pick([0o600, 0o755, 0o4755, 0o000]));
  else if (kind === 16) lchownSync(at(any.path), rng.int(5), rng.int(70_000));
  else if (kind === 17) lutimesSync(at(any.path), 1_600_000_000 + index, rng.int(2_000_000_000));
  else if (kind === 18) setAttribute(rng, file.path);
  else if (kind === 19) takeApart(file);
  else touchNothing(any);
}

/** One byte, with the old times: what looks at sizes and times cannot see it. */
function spoilByte({ path }: Found): void {
  const time = exactTime(path);
  const content = readFileSync(at(path));
  if (content.length === 0) return;
  const file = openSync(at(path), constants.O_WRONLY);
  writeSync(file, Buffer.of((content[0] ?? 0) ^ 0xff), 0, 1, 0);
  closeSync(file);
  atCalls().setTimes(AT_FDCWD, path, time, time);
}

/** A copy in its place that is alike in all, but no longer the file of its other names. */
function takeApart({ path, stats }: Found): void {
  const time = exactTime(path);
  const copy = `${path.slice(0, path.lastIndexOf("/"))}/copy`;
  writeFileSync(at(copy), readFileSync(at(path)));
  chownSync(at(copy), stats.uid, stats.gid);
  chmodSync(at(copy), stats.mode & 0o7777);
  atCalls().setTimes(AT_FDCWD, copy, time, time);
  renameSync(at(copy), at(path));
}

/** Copies it up in an overlay, and changes nothing. */
function touchNothing({ path, stats }: Found): void {
  if (stats.isSymbolicLink()) return;
  chownSync(at(path), stats.uid, stats.gid);
  chmodSync(at(path), stats.mode & 0o7777);
}

/** Something else in its place, often a directory in the place of one. */
function recreate(rng: Rng, { path }: Found): void {
  rmSync(at(path), { recursive: true });
  if (rng.chance(0.6)) {
    mkdirSync(at(path));
    for (const name of ["new", "a", "bin", "src"]) if (rng.chance(0.5)) writeFileSync(at(`${path}/${name}`), name);
    if (rng.chance(0.5)) mkdirSync(at(`${path}/etc`));
  } else writeFileSync(at(path), "in its place");
}

function makeNode(rng: Rng, path: string): void {
  const [type, major, minor] = rng.pick([
    [constants.S_IFIFO, 0, 0],
    [constants.S_IFCHR, 1, 3],
    [constants.S_IFBLK, 8, 17],
  ] as const);
  atCalls().mknod(AT_FDCWD, path, type | 0o640, major, minor);
}

function setAttribute(rng: Rng, path: string): void {
  const name = rng.pick(["user.kit.0", "user.new", "security.capability"]);
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
  const value = name === "security.capability" ? capability : rng.bytes(rng.between(1, 50));
  if (rng.chance(0.7)) xattrCalls().set(path, name, value);
  else xattrCalls().remove(path, name);
}

function exactTime(path: string): FileTime {
  const { mtimeNs } = lstatSync(at(path), { bigint: true });
  return { seconds: Number(mtimeNs / 1_000_000_000n), nanoseconds: Number(mtimeNs % 1_000_000_000n) };
}

function listTree(root: string): Found[] {
  const found: Found[] = [];
  const walk = (directory: string): void => {
    for (const raw of readdirSync(at(directory), { encoding: "buffer" }).sort((a, b) => a.compare(b))) {
      const path = `${directory}/${decodeName(raw)}`;
      const stats = lstatSync(at(path));
      found.push({ path, stats });
      if (stats.isDirectory()) walk(path);
    }
  };
  walk(root);
  return found;
}

function at(path: string): string | Buffer {
  return systemName(path);
}
