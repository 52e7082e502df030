/**
 * Which drivers work in a store, found out by doing what they do: kernels, file systems and sandboxes differ too much for anything else
 * to be right. Takes some milliseconds.
 */
import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { toError } from "../errors/varve-error.ts";
import { ffiAvailable } from "../sys/libc.ts";
import { StoreLayout } from "../store/layout.ts";
import { tryErofs } from "./probe/try-erofs.ts";
import { tryOverlay, type OverlayKind } from "./probe/try-overlay.ts";
import { tryReflink } from "./probe/try-reflink.ts";
import type { DriverName } from "./types.ts";

export interface DriverReport {
  readonly name: DriverName;
  readonly usable: boolean;
  /** Whether layers are unpacked before their parents are there. */
  readonly parallel: boolean;
  /** Why it is not usable, or what is to be known of it here; sentences without a full stop. */
  readonly reasons: readonly string[];
  /** Whether it is the one that is taken when none is named: at most one is. */
  readonly default: boolean;
}

/** The best first. */
export const DRIVERS: readonly DriverName[] = ["erofs", "overlay", "copy"];

type Finding = Omit<DriverReport, "default"> & { readonly recommended: boolean };

const PREFIX = ".probe-";
const STALE_MS = 3_600_000;

/**
 * Tries the drivers in a store, the best first. The first that is worth it is the default: copying is only where files share their
 * content (reflinks), for otherwise each layer costs the whole image once more, and keeping the layers packed is better.
 * @param root of the store; it must exist
 * @param only these. Default: all
 * @param options.mustHaveRoom a disk without room for the trial tells nothing of a driver; then that is an error. Default false: it is a reason
 * @throws VarveError `NO_SPACE`, if room is a must
 */
export async function probeDrivers(
  root: string,
  only: readonly DriverName[] = DRIVERS,
  { mustHaveRoom = false }: { readonly mustHaveRoom?: boolean } = {},
): Promise<DriverReport[]> {
  const findings: Finding[] = [];
  for (const name of DRIVERS) if (only.includes(name)) findings.push(await probe(root, name, mustHaveRoom));
  const best = findings.find(({ usable, recommended }) => usable && recommended);
  return findings.map(({ name, usable, parallel, reasons }) => ({
    name,
    usable,
    parallel,
    reasons,
    default: name === best?.name,
  }));
}

async function probe(root: string, name: DriverName, mustHaveRoom: boolean): Promise<Finding> {
  const parallel = name !== "copy";
  try {
    const reasons = await withTrialDirectory(root, (directory) => TRIALS[name](directory));
    return { name, usable: true, parallel, reasons, recommended: name !== "copy" || reasons.length === 0 };
  } catch (error) {
    const coded = toVarveError(error, `trying the snapshotter ${name}`);
    if (mustHaveRoom && coded.code === "NO_SPACE") throw coded;
    return { name, usable: false, parallel, reasons: [toError(error).message], recommended: false };
  }
}

/** Each says what is to be known, or throws. */
const TRIALS: Readonly<Record<DriverName, (directory: string) => Promise<string[]>>> = {
  async erofs(directory) {
    mustCall();
    const { loops } = await tryErofs(directory);
    // What is written goes to an overlay; whose marks are never `user.*`, for in a user namespace there is no EROFS.
    await tryOverlay(directory);
    return loops ? ["indexes are mounted through loop devices, for this kernel or file system takes no files"] : [];
  },
  async overlay(directory) {
    mustCall();
    return reasonsOf(await tryOverlay(directory));
  },
  async copy(directory) {
    const shares = ffiAvailable() && tryReflink(directory);
    return shares ? [] : ["each snapshot is a whole copy, for files cannot share their content here (no reflinks)"];
  },
};

function reasonsOf({ userXattr }: OverlayKind): string[] {
  return userXattr ? ["marks are user.overlay.* attributes, because this is not root of the machine"] : [];
}

function mustCall(): void {
  if (!ffiAvailable()) throw new Error("foreign calls are not available (koffi has no build for this machine)");
}

/** A directory on the store's own file system. */
async function withTrialDirectory<T>(root: string, work: (directory: string) => Promise<T>): Promise<T> {
  const { snapshots } = new StoreLayout(root);
  await mkdir(snapshots).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await removeStale(snapshots);
  const directory = await mkdtemp(join(snapshots, PREFIX));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What a process that died here has left. */
async function removeStale(snapshots: string): Promise<void> {
  for (const name of await readdir(snapshots)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(snapshots, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > STALE_MS) await rm(path, { recursive: true, force: true });
  }
}
