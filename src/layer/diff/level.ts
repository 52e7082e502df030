/** A directory on the way down of a walk: what is gone from it, what stands in it, what shows through from below. */
import type { Attributes } from "./attributes.ts";
import type { Presence, Removal } from "./change.ts";
import { findEntry, type Entry } from "./entry.ts";
import { changedMeanwhile } from "./fault.ts";
import { hasMarkedWhiteouts, isIgnored, isMarkedWhiteout, isWhiteoutDevice } from "./overlay-marks.ts";
import type { Listed, TreeDirectory } from "./tree-directory.ts";

/** What a directory stands over. `unknown`: something, but it cannot be read. */
export type Lower = TreeDirectory | "none" | "unknown";

export interface LevelInit {
  readonly path: string;
  readonly upper: TreeDirectory;
  readonly lower: Lower;
  /** Nothing of the lower directory shows through. */
  readonly pure: boolean;
  /** Of the directory. */
  readonly attributes: Attributes;
  /** Of an overlay's marks; undefined in a tree of its own. */
  readonly prefix: string | undefined;
  /** The directory itself, unless it is a change and was told. */
  readonly parent: Presence | undefined;
}

export interface Level extends Omit<LevelInit, "parent" | "attributes" | "prefix"> {
  readonly removals: readonly Removal[];
  /** Of what stands in it, by their bytes. */
  readonly names: readonly string[];
  /** Told before the first change below it. */
  parent: Presence | undefined;
  begun: boolean;
  next: number;
}

/** The level owns its directories from here on, also when this fails. */
export function enterLevel(init: LevelInit): Level {
  const { path, upper, lower, pure, parent } = init;
  try {
    const listed = upper.list();
    const whiteouts = findWhiteouts(init, listed);
    const names = listed.filter(({ name, special }) => special !== "socket" && !whiteouts.has(name)).map(nameOf);
    const removals = removedNames(init, listed, whiteouts, names).map((name): Removal => ({
      kind: "delete",
      path: join(path, name),
    }));
    return { path, upper, lower, pure, parent, removals, names, begun: false, next: 0 };
  } catch (error) {
    leaveLevel(init);
    throw error;
  }
}

export function leaveLevel({ upper, lower }: { readonly upper: TreeDirectory; readonly lower: Lower }): void {
  upper[Symbol.dispose]();
  if (typeof lower !== "string") lower[Symbol.dispose]();
}

export function join(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

/** @throws VarveError `SOURCE_CHANGED` when a name that was listed is not there */
export function mustFind(directory: TreeDirectory, name: string, path: string): Entry {
  const found = findEntry(directory, name, path);
  if (found === undefined) throw changedMeanwhile(path);
  return found;
}

function findWhiteouts({ path, upper, attributes, prefix }: LevelInit, listed: readonly Listed[]): ReadonlySet<string> {
  if (prefix === undefined) return NO_NAMES;
  const marked = hasMarkedWhiteouts(attributes);
  const found = listed.filter(({ name, special }) => {
    if (special !== "char" && !marked) return false;
    const entry = mustFind(upper, name, join(path, name));
    return isWhiteoutDevice(entry) || (marked && isMarkedWhiteout(entry, upper.attributes(name, prefix)));
  });
  return found.length === 0 ? NO_NAMES : new Set(found.map(nameOf));
}

/** The names that the lower directory has and that are no more, by their bytes. */
function removedNames(
  { path, lower, pure }: LevelInit,
  listed: readonly Listed[],
  whiteouts: ReadonlySet<string>,
  names: readonly string[],
): string[] {
  if (lower === "none") return [];
  // What cannot be seen is hidden as a whole, by the directory's own mark, or name by name as the whiteouts say.
  if (lower === "unknown") return pure ? [] : [...whiteouts];
  const was = (name: string): boolean => {
    const entry = findEntry(lower, name, join(path, name));
    return entry !== undefined && !isIgnored(entry);
  };
  // A socket is not what a layer can hold, so what it took the place of is just gone.
  if (!pure)
    return listed
      .map(nameOf)
      .filter((name, at) => (whiteouts.has(name) || listed[at]?.special === "socket") && was(name));
  const present = new Set(names);
  const missing = lower.list().filter(({ name, special }) => special !== "socket" && !present.has(name));
  return missing.filter(({ name, special }) => special === undefined || was(name)).map(nameOf);
}

const NO_NAMES: ReadonlySet<string> = new Set();

function nameOf({ name }: Listed): string {
  return name;
}
