/** The use case "diff": what a snapshot changed of its parent, or an image's topmost layer of those below it; as a list, or as a layer. */
import { open } from "node:fs/promises";
import { toVarveError } from "../errors/from-system.ts";
import type { Change, Changes, NodeType } from "../layer/diff/changes.ts";
import { writeLayerTar } from "../layer/diff/layer-tar.ts";
import { Digester, type Digest } from "../oci/digest.ts";
import { withChanges } from "../snapshot/changes/with-changes.ts";
import type { TransferContext } from "./context.ts";
import { findSnapshot } from "./find-snapshot.ts";

export interface ChangeRow {
  /** Added, changed or deleted. */
  readonly kind: "A" | "C" | "D";
  /** From the root, without a slash in front; the root is `.`. */
  readonly path: string;
  /** Of what stands there now. */
  readonly type?: NodeType;
  /** Bytes of a file. */
  readonly size?: number;
}

/**
 * Calls `onRow` with each change, in the order of a layer: directories before what is in them, deletions first.
 *
 * @param name a snapshot's key or name, or an image
 * @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE`, `SOURCE_CHANGED`, `MOUNT_FAILED`, `INTERRUPTED` ...
 */
export async function diffSnapshot(
  context: TransferContext,
  name: string,
  onRow: (row: ChangeRow) => void,
): Promise<void> {
  await changesOf(context, name, async (changes) => {
    for await (const change of changes) {
      const row = rowOf(change);
      if (row !== undefined) onRow(row);
    }
  });
}

export interface DiffOptions {
  /** As in `LayerTarOptions`. */
  readonly sourceDateEpoch?: number;
}

export interface SavedDiff {
  readonly snapshot: string;
  readonly file: string;
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly size: number;
}

/**
 * Writes the changes to a file as a layer's tar. A file that is there is written over; what a failure leaves of it is no whole tar.
 *
 * @throws VarveError as {@link diffSnapshot}; `PATH_INVALID` for names that a layer cannot have; `NO_SPACE`, `PERMISSION`, `IO`
 */
export async function saveDiff(
  context: TransferContext,
  name: string,
  file: string,
  options: DiffOptions = {},
): Promise<SavedDiff> {
  const { signal } = context;
  const digester = new Digester();
  await changesOf(context, name, async (changes) => {
    const doing = `writing ${file}`;
    await using handle = await open(file, "w").catch((error: unknown) => {
      throw toVarveError(error, doing);
    });
    for await (const chunk of writeLayerTar(changes, { ...options, signal })) {
      digester.update(chunk);
      await handle.writeFile(chunk).catch((error: unknown) => {
        throw toVarveError(error, doing);
      });
    }
  });
  const { size } = digester;
  return { snapshot: name, file, diffId: digester.digest(), size };
}

async function changesOf(
  context: TransferContext,
  name: string,
  work: (changes: Changes) => Promise<void>,
): Promise<void> {
  const { store, signal } = context;
  const { snapshots, key } = await findSnapshot(context, name);
  await withChanges({ store, snapshots }, key, work, { signal });
}

function rowOf(change: Change): ChangeRow | undefined {
  const path = change.path === "" ? "." : change.path;
  if (change.kind === "delete") return { kind: "D", path };
  if (change.kind === "parent") return undefined;
  const { type, size } = change.node;
  return { kind: change.kind === "add" ? "A" : "C", path, type, ...(type === "file" && { size }) };
}
