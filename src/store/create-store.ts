/**
 * Making a store, or finding one. `oci-layout` is written last, so a store that has it is complete; any number of processes
 * may do this at once, and one that is killed half-way leaves what the next one finishes.
 */
import { mkdir, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { makeDirectory } from "../sys/make-directory.ts";
import type { StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";
import { SCHEMA_VERSION } from "./migrations.ts";
import { refuseUnsafe } from "./unsafe-root.ts";

const LAYOUT_VERSION = "1.0.0";
const LAYOUT_TEXT = JSON.stringify({ imageLayoutVersion: LAYOUT_VERSION });
/** What may lie in a root that is not a layout yet: what a process that died left, and what a fresh file system has. */
const HARMLESS = new Set([
  "blobs",
  "ingest",
  "layers",
  "snapshots",
  "disks",
  "locks",
  "index.json",
  ".index.json.new",
  ".oci-layout.new",
  ".reserve",
  "lost+found",
]);
/** An SQLite file begins with this, and has `user_version` at this byte (SQLite file format §1.3). */
const SQLITE_MAGIC = "SQLite format 3\0";
const USER_VERSION_OFFSET = 60;

/**
 * Brings the folders of a store into being. An OCI image layout made by another tool becomes a store; its entries stay.
 * @throws VarveError `PATH_INVALID`, `TARGET_NOT_EMPTY`, `STORE_NEWER`, `STORE_READ_ONLY`, `PERMISSION`, `NO_SPACE`, `IO`
 */
export async function createStore(layout: StoreLayout, locks: StoreLocks, sync: boolean): Promise<void> {
  try {
    if (!(await isLayout(layout))) await refuseForeign(layout);
    await refuseNewer(layout);
    // The images of one user are not for others to read; the system's store may be, as image layouts are.
    const mode = process.getuid?.() === 0 ? 0o755 : 0o700;
    for (const path of [layout.root, layout.ingests, layout.blobs]) await makeDirectory(path, { mode });
    // Whoever can open a lock's file can hold it for ever.
    await makeDirectory(layout.locks, { mode: 0o700 });
    await refuseUnsafe(layout);
    if (!(await isLayout(layout))) await writeLayout(layout, locks, sync);
  } catch (error) {
    throw rootError(error, layout.root);
  }
}

/** The same checks for a store that is only read. One that does not exist yet is as good as an empty one. */
export async function checkStore(layout: StoreLayout): Promise<void> {
  try {
    if (!(await isLayout(layout))) await refuseForeign(layout);
    await refuseNewer(layout);
  } catch (error) {
    throw rootError(error, layout.root);
  }
}

async function writeLayout(layout: StoreLayout, locks: StoreLocks, sync: boolean): Promise<void> {
  using _lock = await locks.named("store");
  if (await isLayout(layout)) return;
  const [{ replaceFile, syncNames }, { EMPTY_INDEX }] = await Promise.all([
    import("./durable.ts"),
    import("./image-index.ts"),
  ]);
  const options = { mode: 0o644, ...(sync && { syncIn: layout.root }) };
  await mkdir(layout.blobDirectory("sha256"), { recursive: true });
  if (sync) await syncNames(layout.blobs);
  if (!(await exists(layout.indexJson))) {
    await replaceFile(layout.indexJson, join(layout.root, ".index.json.new"), EMPTY_INDEX, options);
  }
  await replaceFile(layout.ociLayout, join(layout.root, ".oci-layout.new"), LAYOUT_TEXT, options);
}

/** @throws VarveError when `oci-layout` is there but of a version that is not known */
async function isLayout(layout: StoreLayout): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(layout.ociLayout, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  // A power loss can leave it empty; it is made anew.
  if (text.trim() === "") return false;
  const version = layoutVersion(text);
  if (version === LAYOUT_VERSION) return true;
  throw new VarveError(
    "STORE_NEWER",
    `${layout.ociLayout} has the version ${JSON.stringify(version)}, not ${LAYOUT_VERSION}`,
  );
}

function layoutVersion(text: string): unknown {
  try {
    return (JSON.parse(text) as { imageLayoutVersion?: unknown }).imageLayoutVersion;
  } catch {
    return undefined;
  }
}

async function refuseForeign(layout: StoreLayout): Promise<void> {
  const names = (await exists(layout.root)) ? await readdir(layout.root) : [];
  // Another process may have made it between the two looks.
  if (names.includes("oci-layout")) return;
  const strange = names.find((name) => !HARMLESS.has(name) && !name.startsWith("meta.db"));
  if (strange === undefined) return;
  throw new VarveError("TARGET_NOT_EMPTY", `${layout.root} is no store and holds other things (${strange})`, {
    hint: "choose an empty directory, a new one, or an OCI image layout with --root",
  });
}

/** The version in the database's header, read without opening it; the database's own check is the exact one. */
async function refuseNewer(layout: StoreLayout): Promise<void> {
  if (!(await exists(layout.database))) return;
  await using file = await open(layout.database, "r");
  const { buffer } = await file.read(Buffer.alloc(USER_VERSION_OFFSET + 4), 0, USER_VERSION_OFFSET + 4, 0);
  const version = buffer.toString("latin1", 0, 16) === SQLITE_MAGIC ? buffer.readUInt32BE(USER_VERSION_OFFSET) : 0;
  if (version <= SCHEMA_VERSION) return;
  throw new VarveError(
    "STORE_NEWER",
    `${layout.root} was made by a newer varve (schema ${version}, here ${SCHEMA_VERSION})`,
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function rootError(error: unknown, root: string): VarveError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOTDIR" || code === "EEXIST") {
    return new VarveError("PATH_INVALID", `${root} cannot be a store: a file is in the way`, {
      cause: error,
      hint: "choose a directory with --root",
    });
  }
  return toVarveError(error, `opening the store at ${root}`);
}
