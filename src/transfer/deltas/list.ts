/** The use case "list deltas": which images of the store are deltas between others. What each copies is for `inspectDelta`. */
import type { Digest } from "../../oci/digest.ts";
import type { ImageRecord } from "../../store/images.ts";
import type { TransferContext } from "../context.ts";
import { openManifest } from "../open-image.ts";
import { StoreSource } from "../transports/store.ts";
import { readTold } from "./told-delta.ts";
import type { DeltaDetails } from "./inspect-types.ts";

export interface DeltaRow {
  readonly name: string;
  readonly kind: DeltaDetails["kind"];
  /** Of its manifest. */
  readonly digest: Digest;
  readonly baseId: Digest | null;
  readonly targetId: Digest | null;
  /** Of the target's manifest, where the delta says. */
  readonly targetManifest: Digest | null;
  /** Bytes of its blobs. */
  readonly size: number;
  readonly createdAt: string;
}

export interface ListPage {
  /** At most so many. Default: all. */
  readonly limit?: number;
  /** Only those whose names come after this one. */
  readonly after?: string;
}

/** By name. Images whose documents are damaged are passed over. */
export async function listDeltas(context: TransferContext, page: ListPage = {}): Promise<DeltaRow[]> {
  const { limit = Number.POSITIVE_INFINITY, after = "" } = page;
  const rows: DeltaRow[] = [];
  const records = (await context.store.images.list()).filter(({ name }) => name > after);
  for (const record of records.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (rows.length >= limit) break;
    context.signal.throwIfAborted();
    const row = await deltaRow(context, record).catch(() => undefined);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

async function deltaRow({ store, signal }: TransferContext, record: ImageRecord): Promise<DeltaRow> {
  const source = new StoreSource(store, record);
  const { manifest } = await openManifest(source, record.name, undefined);
  const { kind, baseId, targetId, targetManifest } = await readTold(source, manifest, record.name, signal);
  const sizes = new Map([manifest.config, ...manifest.layers].map(({ digest, size }) => [digest, size]));
  return {
    name: record.name,
    kind,
    digest: manifest.digest,
    baseId,
    targetId,
    targetManifest,
    size: sizes.values().reduce((sum, size) => sum + size, 0),
    createdAt: record.updatedAt.toISOString(),
  };
}
