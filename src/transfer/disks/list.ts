/** The use case "list disks": images of virtual machines in the store, and what of their disks is here. */
import { formatOf } from "../../codec/tart/format-of.ts";
import type { ImageRecord } from "../../store/images.ts";
import type { TransferContext } from "../context.ts";
import type { ListPage } from "../deltas/list.ts";
import { openManifest } from "../open-image.ts";
import { StoreSource } from "../transports/store.ts";
import { imageInformation, type ImageInfo } from "./info.ts";

/** By name. Images whose documents are damaged are passed over. */
export async function listDisks(context: TransferContext, page: ListPage = {}): Promise<ImageInfo[]> {
  const { limit = Number.POSITIVE_INFINITY, after = "" } = page;
  const found: ImageInfo[] = [];
  const records = (await context.store.images.list()).filter(({ name }) => name > after);
  for (const record of records.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (found.length >= limit) break;
    context.signal.throwIfAborted();
    const info = await informationOf(context, record).catch(() => undefined);
    if (info !== undefined) found.push(info);
  }
  return found;
}

/** Undefined of all but machines. */
async function informationOf(context: TransferContext, record: ImageRecord): Promise<ImageInfo | undefined> {
  const { manifest } = await openManifest(new StoreSource(context.store, record), record.name, undefined);
  return formatOf(manifest) === undefined ? undefined : imageInformation(context, record.name);
}
