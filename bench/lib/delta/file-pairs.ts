/**
 * bsdiff file by file, which is what tar-diff is held to: each changed file against the one of the same path, else of the most similar name in the
 * same directory; files that are new together through bzip2. Unpacking both tars is not counted, nor are the tar's headers.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { runOk } from "../../../test/kit/peers/run.ts";
import type { Pair } from "../debian-pair.ts";

export interface FilePairs {
  /** Lines of an old file, a tab and a new file. */
  readonly changed: string;
  /** Files that have no older one. */
  readonly fresh: string;
}

/** For bash, which calls bsdiff thousands of times with less work in between than anything else. */
export const PER_FILE = {
  create: `rm -rf "$3"; mkdir "$3"; n=0
    while IFS=$'\\t' read -r old new; do bsdiff "$old" "$new" "$3/$n" || exit 1; n=$((n + 1)); done < "$1"
    tar -P --no-recursion -cf - -T "$2" | bzip2 -9 > "$3/fresh"`,
  apply: `rm -rf "$3"; mkdir "$3"; n=0
    while IFS=$'\\t' read -r old new; do bspatch "$old" "$3/$n" "$2/$n" || exit 1; n=$((n + 1)); done < "$1"
    tar -P -C "$3" --transform 's,^/,,' -xjf "$2/fresh"`,
} as const;

interface Found {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly sum: string;
}

export async function filePairs({ base, target }: Pair, dir: string): Promise<FilePairs> {
  const [old, fresh] = [await unpack(base, join(dir, "old-files")), await unpack(target, join(dir, "new-files"))];
  const held = new Set(old.map(({ sum }) => sum));
  const byName = new Map(old.map((file) => [file.name, file]));
  const byStem = Map.groupBy(old, stemOf);
  const lists: { readonly changed: string[]; readonly fresh: string[] } = { changed: [], fresh: [] };
  for (const file of fresh) {
    if (held.has(file.sum)) continue;
    const alike = byStem.get(stemOf(file))?.toSorted((a, b) => distance(a, file) - distance(b, file));
    const source = byName.get(file.name) ?? alike?.[0];
    if (source === undefined) lists.fresh.push(`${file.path}\n`);
    else lists.changed.push(`${source.path}\t${file.path}\n`);
  }
  const paths = { changed: join(dir, "changed.list"), fresh: join(dir, "fresh.list") };
  await writeFile(paths.changed, lists.changed.join(""));
  await writeFile(paths.fresh, lists.fresh.join(""));
  return paths;
}

async function unpack(tar: string, into: string): Promise<Found[]> {
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  await runOk("tar", ["-C", into, "-xf", tar], { timeoutMs: 600_000 });
  return readdirSync(into, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).size > 0)
    .map((path) => {
      const content = readFileSync(path);
      const sum = createHash("sha256").update(content).digest("hex");
      return { path, name: relative(into, path), size: content.length, sum };
    });
}

/** Up to the first dot, so that libraries of two versions have the same. */
function stemOf({ name }: Found): string {
  const directory = dirname(name);
  return `${directory}/${name.slice(directory === "." ? 0 : directory.length + 1).split(".")[0]}`;
}

function distance(a: Found, b: Found): number {
  return Math.abs(a.size - b.size);
}
