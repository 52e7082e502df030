/**
 * Staged layers: active snapshots without a parent that a layer is unpacked to, named as containerd's unpacker names them (formats
 * layer-apply "Chain IDs and snapshot rules"). They belong to a process; when that is dead they are nobody's.
 */
import { randomBytes } from "node:crypto";
import type { LayerTarget } from "../layer/layer-target.ts";
import type { Digest } from "../oci/digest.ts";
import { isDigest } from "../oci/digest.ts";
import type { SnapshotRecord } from "./types.ts";

const PREFIX = "extract-";

export interface StagedLayer extends AsyncDisposable {
  /** For `Snapshots.commit`. */
  readonly key: string;
  /** Where to unpack to; undefined when the driver applies the layer as it is committed. */
  readonly target: LayerTarget | undefined;
}

/** A new key for the layer. */
export function stagedKey(diffId: Digest): string {
  return `${PREFIX}${randomBytes(6).toString("hex")} ${diffId}`;
}

/** Whether it is a snapshot that only the process that makes it can want. */
export function isStaged({ kind, key }: Pick<SnapshotRecord, "kind" | "key">): boolean {
  return kind === "active" && key.startsWith(PREFIX) && isDigest(key.slice(key.indexOf(" ") + 1));
}
