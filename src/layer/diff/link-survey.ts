/**
 * Which files with several names are as they were. What a layer leaves out of a tree keeps the names that it had together; so a file
 * may be left out only if all its names now were names of one and the same file before, and no other file is left out that was that one
 * too. No name alone can tell, so both trees are walked once before they are compared. About 300 bytes are remembered for each
 * file with several names.
 */
import type { FileStatus } from "../../sys/at.ts";
import { Breather } from "./breather.ts";
import { findEntry, isSameEntry, type Entry } from "./entry.ts";
import { readFault } from "./fault.ts";
import { isIgnored } from "./overlay-marks.ts";
import { identityOf, type TreeDirectory } from "./tree-directory.ts";

/** Its root, anew each time. */
export type OpenTree = () => TreeDirectory;

interface Level {
  readonly path: string;
  readonly upper: TreeDirectory;
  readonly lower: TreeDirectory | undefined;
  readonly names: readonly string[];
  next: number;
}

export class LinkSurvey {
  /** For each file now, the one that all its names were before; undefined when there is no such one. */
  readonly #before = new Map<string, string | undefined>();
  readonly #unchanged = new Set<string>();

  private constructor() {}

  /** @throws VarveError `SOURCE_CHANGED`, `PERMISSION` ...; the signal's reason */
  static async make(upper: OpenTree, lower: OpenTree, signal: AbortSignal | undefined): Promise<LinkSurvey> {
    const survey = new LinkSurvey();
    await survey.#walk(upper, lower, new Breather(signal));
    const taken = new Set<string>();
    for (const [file, before] of survey.#before) {
      if (before === undefined || taken.has(before)) continue;
      taken.add(before);
      survey.#unchanged.add(file);
    }
    survey.#before.clear();
    return survey;
  }

  /** Of a file that has, or had, several names. */
  isUnchanged(status: FileStatus): boolean {
    return this.#unchanged.has(identityOf(status));
  }

  async #walk(openUpper: OpenTree, openLower: OpenTree, breather: Breather): Promise<void> {
    const levels: Level[] = [];
    let path = "";
    try {
      levels.push(enter(path, openUpper(), openLower));
      for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
        const { upper, lower, names } = level;
        const name = names[level.next++];
        if (name === undefined) {
          leave(levels.pop());
          continue;
        }
        await breather.breathe();
        path = level.path === "" ? name : `${level.path}/${name}`;
        const now = findEntry(upper, name, path);
        if (now === undefined || isIgnored(now)) continue;
        const before = lower && findEntry(lower, name, path);
        if (now.type !== "directory") await this.#note(now, before);
        else {
          const below = before?.type === "directory" ? lower : undefined;
          levels.push(enter(path, upper.child(name), () => below?.child(name)));
        }
      }
    } catch (error) {
      throw readFault(error, path);
    } finally {
      for (const level of levels) leave(level);
    }
  }

  async #note(now: Entry, before: Entry | undefined): Promise<void> {
    if (now.status.links < 2 && (before === undefined || before.status.links < 2)) return;
    const file = identityOf(now.status);
    const was = before && identityOf(before.status);
    if (this.#before.has(file)) {
      if (this.#before.get(file) !== was) this.#before.set(file, undefined);
      return;
    }
    const same = before && (await isSameEntry(now, now.directory.attributes(now.name, undefined), before));
    this.#before.set(file, same === true ? was : undefined);
  }
}

function enter(path: string, upper: TreeDirectory, openLower: () => TreeDirectory | undefined): Level {
  using made = new DisposableStack();
  made.use(upper);
  const lower = made.use(openLower());
  const names = upper.list().map(({ name }) => name);
  made.move();
  return { path, upper, lower, names, next: 0 };
}

function leave(level: Level | undefined): void {
  level?.upper[Symbol.dispose]();
  level?.lower?.[Symbol.dispose]();
}
