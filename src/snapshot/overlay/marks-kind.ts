/**
 * Which attributes mark opaque directories in a store: `trusted.overlay.*`, which only root of the machine may set and see, or
 * `user.overlay.*` with the mount option `userxattr`. Whoever unpacks first decides for all, in `snapshots/overlay.json`.
 */
import { link, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VarveError } from "../../errors/varve-error.ts";
import { ffiAvailable } from "../../sys/libc.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { kindFor, type OverlayKind } from "../probe/try-overlay.ts";

const FILE = "overlay.json";

/**
 * @param snapshots the folder of all snapshots
 * @throws DRIVER_UNAVAILABLE when the marks that are there cannot be seen by this process
 */
export async function marksKind(snapshots: string): Promise<OverlayKind> {
  if (!ffiAvailable())
    throw new VarveError("DRIVER_UNAVAILABLE", "overlays need foreign calls, which are not available");
  await makeDirectory(snapshots, { mode: 0o755 });
  const directory = await mkdtemp(join(snapshots, ".probe-"));
  try {
    const mine = kindFor(directory);
    const kind = (await readKind(snapshots)) ?? (await decide(snapshots, directory, mine));
    if (kind.userXattr || !mine.userXattr) return kind;
    throw new VarveError(
      "DRIVER_UNAVAILABLE",
      "the overlays of this store were unpacked by root and are for root only",
      {
        hint: "use a store of your own with --root, or another driver",
      },
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function readKind(snapshots: string): Promise<OverlayKind | undefined> {
  try {
    const { userXattr } = JSON.parse(await readFile(join(snapshots, FILE), "utf8")) as { userXattr?: unknown };
    return typeof userXattr === "boolean" ? { userXattr } : undefined;
  } catch {
    return undefined;
  }
}

/** Of several who decide at once one is first, and the others follow. */
async function decide(snapshots: string, directory: string, kind: OverlayKind): Promise<OverlayKind> {
  const draft = join(directory, FILE);
  await writeFile(draft, JSON.stringify(kind), { flush: true });
  try {
    await link(draft, join(snapshots, FILE));
    return kind;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const decided = await readKind(snapshots);
    if (decided !== undefined) return decided;
    throw new VarveError("STORE_CORRUPT", `${join(snapshots, FILE)} is damaged`, {
      hint: "remove it, and the snapshots with it: varve snapshots rm --all",
    });
  }
}
