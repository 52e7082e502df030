/** The regular files of a tar that differences are looked for between, in their order (formats "tar-diff" §1, "Generator behaviour"). */
import type { Base } from "../../librsync/base.ts";
import type { TarEntry, TarHandler } from "../../tar/entry.ts";
import { cleanMemberPath, leavesItsPlace } from "../member-path.ts";
import { walkHeaders } from "../walk-headers.ts";

/** Its content is bytes `[start, start + size)` of the tar. */
export interface TarFile {
  readonly path: string;
  readonly start: number;
  /** Bytes, at least one. */
  readonly size: number;
  /** Whether the tar has the path once only, and anybody may read the file: whoever applies the delta to an unpacked tree finds just this there. */
  readonly isSource: boolean;
}

/** @param anyMode whether files that not everybody may read are sources too */
export async function filesOf(tar: Base, anyMode: boolean, signal?: AbortSignal): Promise<TarFile[]> {
  const reader = new FileReader(anyMode);
  await walkHeaders(tar, reader, signal);
  return reader.files();
}

const READABLE_BY_ALL = 0o4;

class FileReader implements TarHandler {
  readonly #anyMode: boolean;
  readonly #files: TarFile[] = [];
  readonly #seen = new Set<string>();
  readonly #twice = new Set<string>();
  #position = 0;

  constructor(anyMode: boolean) {
    this.#anyMode = anyMode;
  }

  raw(bytes: Uint8Array): void {
    this.#position += bytes.length;
  }

  data(bytes: Uint8Array): void {
    this.#position += bytes.length;
  }

  skip(length: number): void {
    this.#position += length;
  }

  endEntry(): void {}

  entry({ type, name, size, storedSize, sparse, mode }: TarEntry): void {
    const path = cleanMemberPath(name);
    if (this.#seen.has(path)) this.#twice.add(path);
    else this.#seen.add(path);
    if (type !== "file" || sparse !== undefined || storedSize === 0) return;
    const isSource = path !== "" && !leavesItsPlace(name) && (this.#anyMode || (mode & READABLE_BY_ALL) !== 0);
    this.#files.push({ path, start: this.#position, size, isSource });
  }

  files(): TarFile[] {
    if (this.#twice.size === 0) return this.#files;
    return this.#files.map((file) => (this.#twice.has(file.path) ? { ...file, isSource: false } : file));
  }
}
