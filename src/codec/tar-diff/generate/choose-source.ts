/**
 * Which file of the old tar a file of the new one is most likely made of (formats "tar-diff" §1, "Generator behaviour"): one of equal content, of the
 * same path, of the same name, or of the same name up to its first dot, as old ones often have a version behind it.
 */
import { createHash } from "node:crypto";
import type { ReadAhead } from "./read-ahead.ts";
import type { TarFile } from "./tar-files.ts";

/** Sizes of files that are likely to have much in common are within this factor, but for small ones. */
const MOST_TIMES = 10;
const SMALL_BYTES = 64 << 10;

export interface Source {
  readonly file: TarFile;
  readonly isEqual: boolean;
}

export class SourceChooser {
  readonly #base: ReadAhead;
  readonly #byPath = new Map<string, TarFile>();
  /** Each from the smallest to the largest, those of one size as the tar has them. */
  readonly #byName = new Map<string, TarFile[]>();
  readonly #byStem = new Map<string, TarFile[]>();
  readonly #bySize = new Map<number, TarFile[]>();
  /** Of a size, once some file of that size was asked for: by digest. */
  readonly #byContent = new Map<number, Map<string, TarFile>>();

  constructor(base: ReadAhead, files: readonly TarFile[]) {
    this.#base = base;
    for (const file of files.filter(({ isSource }) => isSource).toSorted((one, other) => one.size - other.size)) {
      this.#byPath.set(file.path, file);
      push(this.#byName, nameOf(file.path), file);
      push(this.#byStem, stemOf(file.path), file);
      push(this.#bySize, file.size, file);
    }
  }

  /** @throws what the tars throw; the signal's reason */
  async choose(target: ReadAhead, file: TarFile, signal?: AbortSignal): Promise<Source | undefined> {
    const equal = await this.#equal(target, file, signal);
    if (equal !== undefined) return { file: equal, isEqual: true };
    const similar = this.#similar(file);
    return similar && { file: similar, isEqual: false };
  }

  /** Whether the file may have a source, by what the headers say. */
  mayHave(file: TarFile): boolean {
    return this.#bySize.has(file.size) || this.#similar(file) !== undefined;
  }

  /** Most files are what they were: that is seen without a digest. */
  async #equal(target: ReadAhead, file: TarFile, signal?: AbortSignal): Promise<TarFile | undefined> {
    const candidates = this.#bySize.get(file.size);
    if (candidates === undefined) return undefined;
    const same = this.#byPath.get(file.path);
    if (same?.size === file.size) {
      if (await isEqual(this.#base, same, target, file, signal)) return same;
      if (candidates.length === 1) return undefined;
    }
    const digests = this.#byContent.get(file.size) ?? new Map<string, TarFile>();
    if (digests.size === 0) {
      this.#byContent.set(file.size, digests);
      for (const candidate of candidates) digests.set(await digestOf(this.#base, candidate, signal), candidate);
    }
    return digests.get(await digestOf(target, file, signal));
  }

  #similar(file: TarFile): TarFile | undefined {
    const same = this.#byPath.get(file.path);
    if (same !== undefined && isNear(same.size, file.size)) return same;
    return (
      mostSimilar(this.#byName.get(nameOf(file.path)), file.size) ??
      mostSimilar(this.#byStem.get(stemOf(file.path)), file.size)
    );
  }
}

function push<K>(map: Map<K, TarFile[]>, key: K, file: TarFile): void {
  const files = map.get(key);
  if (files === undefined) map.set(key, [file]);
  else files.push(file);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function stemOf(path: string): string {
  const name = nameOf(path);
  const dot = name.indexOf(".", 1);
  return dot < 0 ? name : name.slice(0, dot);
}

function isNear(one: number, other: number): boolean {
  if (Math.max(one, other) < SMALL_BYTES) return true;
  return Math.max(one, other) <= MOST_TIMES * Math.min(one, other);
}

/** Of those whose sizes differ least, the smaller, the first. There may be thousands of one name. @param files from the smallest to the largest */
function mostSimilar(files: readonly TarFile[] | undefined, size: number): TarFile | undefined {
  if (files === undefined) return undefined;
  const above = files[firstOfSize(files, size)];
  const below = files[firstOfSize(files, size) - 1];
  const first = below && files[firstOfSize(files, below.size)];
  const isBelow = first !== undefined && isNear(first.size, size);
  if (above === undefined || !isNear(above.size, size)) return isBelow ? first : undefined;
  return isBelow && size - first.size <= above.size - size ? first : above;
}

/** Where those of at least this size begin. */
function firstOfSize(files: readonly TarFile[], size: number): number {
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (files[middle]!.size < size) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Files of one digest are taken for equal without being compared: of SHA-1 there are such that are not. */
async function digestOf(tar: ReadAhead, { start, size }: TarFile, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < size;) {
    signal?.throwIfAborted();
    const some = await tar.next(start + at, size - at);
    hash.update(some);
    at += some.length;
  }
  return hash.digest("latin1");
}

async function isEqual(
  base: ReadAhead,
  old: TarFile,
  target: ReadAhead,
  file: TarFile,
  signal?: AbortSignal,
): Promise<boolean> {
  for (let at = 0; at < file.size;) {
    signal?.throwIfAborted();
    const ours = await base.next(old.start + at, file.size - at);
    const theirs = await target.next(file.start + at, ours.length);
    if (Buffer.compare(ours.subarray(0, theirs.length), theirs) !== 0) return false;
    at += theirs.length;
  }
  return true;
}
