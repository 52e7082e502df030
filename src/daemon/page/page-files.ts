/**
 * The page's files, read once: a dozen files of some hundred kilobytes, so what is asked for is looked up by name and no path from outside
 * ever meets the file system.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, sep } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

export interface PageFile {
  readonly contentType: string;
  readonly bytes: Buffer;
  /** Left out where it is not smaller. */
  readonly gzipped?: Buffer;
  /** Of the bytes, without quotes. */
  readonly tag: string;
  /** Its name has its content's hash in it, so it never changes. */
  readonly isImmutable: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

const compress = promisify(gzip);

/** By the path of a request, `/index.html` as `/`. Undefined when no page is built there. */
export async function readPage(folder: string): Promise<ReadonlyMap<string, PageFile> | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  const files = new Map<string, PageFile>();
  for (const entry of entries) {
    const contentType = TYPES[extname(entry.name)];
    if (!entry.isFile() || contentType === undefined) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length).replaceAll(sep, "/");
    files.set(name === "/index.html" ? "/" : name, await readPageFile(path, contentType, name.startsWith("/assets/")));
  }
  return files.has("/") ? files : undefined;
}

async function readPageFile(path: string, contentType: string, isImmutable: boolean): Promise<PageFile> {
  const bytes = await readFile(path);
  const gzipped = await compress(bytes, { level: 9 });
  return {
    contentType,
    bytes,
    ...(gzipped.length < bytes.length && { gzipped }),
    tag: createHash("sha256").update(bytes).digest("base64url").slice(0, 22),
    isImmutable,
  };
}
