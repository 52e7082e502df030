/**
 * Whether a store's directory can be written to without harm. Who can put a link where the store is about to make something leads
 * a more powerful user's writes to any file there is, so links are refused, and so is a directory in which anybody can put one
 * at any time.
 */
import type { Stats } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import { VarveError } from "../errors/varve-error.ts";
import { makeDirectory } from "../sys/make-directory.ts";
import type { StoreLayout } from "./layout.ts";

const OTHERS_WRITE = 0o002;
/** In such a directory only the owner of an entry can move it away: `/tmp`, and a fresh tmpfs. */
const STICKY = 0o1000;

/** Call it when the store's directories are there. @throws VarveError `PERMISSION`, `PATH_INVALID` */
export async function refuseUnsafe(layout: StoreLayout): Promise<void> {
  const root = await stat(layout.root);
  const open = (root.mode & OTHERS_WRITE) !== 0;
  if (open && (root.mode & STICKY) === 0) {
    throw new VarveError("PERMISSION", `anybody may write to ${layout.root}, and could lead the store elsewhere`, {
      hint: "chmod o-w it, or choose a directory in it that does not exist yet",
    });
  }
  for (const path of [layout.locks, layout.ingests, layout.blobs]) {
    const entry = await lstat(path);
    if (!entry.isDirectory()) throw linked(path);
    if (open && !isTrusted(entry, root)) throw foreign(path);
  }
  for (const path of [layout.layers, layout.snapshots, layout.disks]) {
    // These are made when they are needed; where others can be faster, now. They hold set-uid programs, so nobody else looks into them.
    if (open) await makeDirectory(path, { mode: 0o700 });
    const entry = await lstat(path).catch(() => undefined);
    if (entry === undefined) continue;
    if (!entry.isDirectory()) throw linked(path);
    if (open && !isTrusted(entry, root)) throw foreign(path);
  }
  const database = await lstat(layout.database).catch(() => undefined);
  if (database === undefined) return;
  if (!database.isFile()) throw linked(layout.database);
  if (open && !isTrusted(database, root)) throw foreign(layout.database);
}

function isTrusted(entry: Stats, root: Stats): boolean {
  return entry.uid === process.geteuid?.() || entry.uid === 0 || entry.uid === root.uid;
}

function linked(path: string): VarveError {
  return new VarveError("PATH_INVALID", `${path} is a link or something else that the store did not make`, {
    hint: "remove it; the store's directory itself may be a link",
  });
}

function foreign(path: string): VarveError {
  return new VarveError("PERMISSION", `${path} was made by another user, in a directory that anybody may write to`, {
    hint: "choose a directory of your own with --root",
  });
}
