/** Where a copy goes: what is there now decides how it is written. */
import type { Stats } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import { VarveError } from "../errors/varve-error.ts";
import type { CopySource } from "./copy-source.ts";
import type { Replaced } from "./fresh-file.ts";

export type Place =
  /** A file that is made, and takes the place of the one that is there, if any. */
  | { readonly kind: "new"; readonly path: string; readonly replaced?: Replaced }
  /** A file that is there and is to be changed. */
  | { readonly kind: "file"; readonly path: string; readonly stats: Stats }
  | { readonly kind: "device"; readonly path: string; readonly size: number };

/**
 * Follows links, as writing to the path does.
 * @throws VarveError `PATH_INVALID` when it is neither a file nor a block device, or is the source; NodeJS.ErrnoException
 */
export async function placeAt(path: string, source: CopySource, inPlace: boolean): Promise<Place> {
  const stats = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return { kind: "new", path };
  if (BigInt(stats.ino) === source.stats.ino && BigInt(stats.dev) === source.stats.dev) {
    throw new VarveError("PATH_INVALID", `${path} and ${source.path} are the same file`);
  }
  const real = await realpath(path);
  if (stats.isBlockDevice()) return { kind: "device", path: real, size: await deviceSize(stats, path) };
  if (!stats.isFile()) {
    const hint = stats.isDirectory() ? "name the file in it" : "name a file or a block device";
    throw new VarveError("PATH_INVALID", `${path} is neither a file nor a block device`, { hint });
  }
  return inPlace ? { kind: "file", path: real, stats } : { kind: "new", path: real, replaced: stats };
}

/** What the kernel tells of it; no file's size is known of a device, and its end can only be sought through foreign calls. */
async function deviceSize({ rdev }: Stats, path: string): Promise<number> {
  const device = BigInt(rdev);
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, "utf8").catch((cause: unknown) => {
    throw new VarveError("IO", `cannot tell how large ${path} is`, { cause, hint: "/sys has to be mounted" });
  });
  return Number(sectors.trim()) * 512;
}
