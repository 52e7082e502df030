/** In what two trees differ, in lines that tell the reader where to look. */
import type { TreeEntry } from "./read-tree.ts";

export interface DiffOptions {
  /** Facts that do not count, such as `mtime`, or `uid` and `gid` when rootless. */
  readonly ignore?: readonly (keyof TreeEntry)[];
  /** Whether the root directory itself is compared. Default true. */
  readonly root?: boolean;
  /** Whether times of directories count: many unpackers let later members change them. Default true. */
  readonly directoryTimes?: boolean;
}

const FACTS = [
  "type",
  "mode",
  "uid",
  "gid",
  "size",
  "sha256",
  "target",
  "linkedTo",
  "mtime",
  "xattrs",
  "major",
  "minor",
] as const satisfies readonly (keyof TreeEntry)[];

/** Empty when the trees are equal. */
export function diffTrees(a: readonly TreeEntry[], b: readonly TreeEntry[], options: DiffOptions = {}): string[] {
  const facts = FACTS.filter((fact) => options.ignore?.includes(fact) !== true);
  const counts = (entry: TreeEntry) => entry.path !== "" || options.root !== false;
  const left = new Map(a.filter(counts).map((entry) => [entry.path, entry]));
  const right = new Map(b.filter(counts).map((entry) => [entry.path, entry]));
  const lines: string[] = [];
  for (const path of [...new Set([...left.keys(), ...right.keys()])].sort()) {
    const one = left.get(path);
    const other = right.get(path);
    const name = JSON.stringify(path);
    if (one === undefined || other === undefined) lines.push(`${name}: only in the ${one ? "first" : "second"}`);
    else {
      for (const fact of facts) {
        const [was, is] = [show(fact, one), show(fact, other)];
        const counts = fact !== "mtime" || options.directoryTimes !== false || one.type !== "directory";
        if (was !== is && counts) lines.push(`${name}: ${fact} ${was} / ${is}`);
      }
    }
  }
  return lines;
}

function show(fact: keyof TreeEntry, entry: TreeEntry): string {
  if (fact === "mode") return `0o${entry.mode.toString(8)}`;
  if (fact === "xattrs") return JSON.stringify(entry.xattrs, Object.keys(entry.xattrs).sort());
  const value = entry[fact];
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
