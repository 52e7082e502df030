/** What a store takes, for people. */
import type { DiskUsage } from "../../transfer/disk-usage.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { type Column, formatTable } from "./table.ts";
import { formatBytes } from "./units.ts";

interface Kind {
  readonly name: string;
  readonly count: number;
  readonly bytes: number;
}

type ImageNeed = DiskUsage["images"]["each"][number];

const KIND_COLUMNS: readonly Column<Kind>[] = [
  { title: "TYPE", value: ({ name }) => name },
  { title: "COUNT", value: ({ count }) => String(count), align: "right" },
  { title: "SIZE", value: ({ bytes }) => formatBytes(bytes), align: "right" },
];

const IMAGE_COLUMNS: readonly Column<ImageNeed>[] = [
  { title: "IMAGE", value: ({ name }) => name },
  { title: "SIZE", value: ({ bytes }) => formatBytes(bytes), align: "right" },
  { title: "OWN", value: ({ ownBytes }) => formatBytes(ownBytes), align: "right" },
];

/** With `verbose` also what each image needs; with `quiet` only the sum, in bytes. */
export function renderDiskUsage(usage: DiskUsage, { quiet, verbose }: View): string {
  const {
    root,
    images,
    blobs,
    repositories,
    unreferenced,
    ingests,
    disks,
    partialDisks,
    snapshots,
    layers,
    totalBytes,
  } = usage;
  if (quiet) return `${totalBytes}\n`;
  const kinds: readonly Kind[] = [
    { name: "blobs", ...blobs },
    ...(repositories.count > 0 ? [{ name: "  of repositories", ...repositories }] : []),
    { name: "  of no image", ...unreferenced },
    { name: "partial blobs", ...ingests },
    ...(disks.count > 0 ? [{ name: "disks", ...disks }] : []),
    ...(partialDisks.count > 0 ? [{ name: "partial disks", ...partialDisks }] : []),
    { name: "unpacked layers", ...layers },
    { name: "snapshots", ...snapshots },
  ];
  const shared = images.sharedBytes === 0 ? "" : `, ${formatBytes(images.sharedBytes)} shared among them`;
  const sizes = disks.count === 0 ? "" : `disks hold ${formatBytes(disks.logicalBytes)}, holes included\n`;
  const total = `images: ${images.count}${shared}\n${sizes}total: ${formatBytes(totalBytes)} in ${sanitize(root)}\n`;
  const each = verbose && images.each.length > 0 ? `\n${formatTable(IMAGE_COLUMNS, images.each)}` : "";
  return formatTable(KIND_COLUMNS, kinds) + total + each;
}
