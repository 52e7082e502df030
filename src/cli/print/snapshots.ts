/** Snapshots, drivers and mounts as people read them. */
import type { DriverReport } from "../../snapshot/probe.ts";
import type { Mount, Usage } from "../../snapshot/types.ts";
import type { PreparedSnapshot, SnapshotRow } from "../../transfer/manage-snapshots.ts";
import { sanitize } from "./sanitize.ts";
import { type Column, formatTable } from "./table.ts";
import { formatAge, formatBytes, plural } from "./units.ts";

/** ChainIDs are long; the beginning tells them apart. */
const SHOWN = 32;

export function renderSnapshots(
  rows: readonly SnapshotRow[],
  { quiet, now }: { readonly quiet: boolean; readonly now: number },
): string {
  if (quiet) return rows.map(({ key }) => `${sanitize(key)}\n`).join("");
  const columns: readonly Column<SnapshotRow>[] = [
    { title: "KEY", value: ({ key }) => shortened(key) },
    { title: "KIND", value: ({ kind }) => kind },
    { title: "DRIVER", value: ({ driver }) => driver },
    { title: "PARENT", value: ({ parent }) => (parent === null ? "-" : shortened(parent)) },
    { title: "SIZE", value: ({ bytes }) => (bytes === null ? "-" : formatBytes(bytes)), align: "right" },
    { title: "UPDATED", value: ({ updatedAt }) => formatAge(updatedAt, now) },
  ];
  return formatTable(columns, rows);
}

export function renderDrivers(rows: readonly DriverReport[]): string {
  const columns: readonly Column<DriverReport>[] = [
    { title: "DRIVER", value: ({ name }) => name },
    { title: "USABLE", value: ({ usable }) => (usable ? "yes" : "no") },
    { title: "DEFAULT", value: (row) => (row.default ? "yes" : "") },
    { title: "REASONS", value: ({ reasons }) => reasons.join("; ") },
  ];
  return formatTable(columns, rows);
}

export function renderPrepared({ key, mounts }: PreparedSnapshot, { quiet }: { readonly quiet: boolean }): string {
  return quiet ? `${sanitize(key)}\n` : renderMounts(mounts);
}

/** One `mount(8)` for each, as a shell takes it; where a target is missing it is the caller's. */
export function renderMounts(mounts: readonly Mount[]): string {
  return mounts
    .map(({ type, source, options, target = "DIR" }) => {
      const words = [options.join(","), source, target].map(quoted);
      return `mount -t ${type} -o ${words.join(" ")}\n`;
    })
    .join("");
}

/** Paths of the store may hold anything. */
function quoted(word: string): string {
  const text = sanitize(word);
  return /^[\w/:=,.+@%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export function renderUsage({ key, bytes, inodes }: Usage & { readonly key: string }): string {
  return `${sanitize(key)}: ${formatBytes(bytes)} in ${plural(inodes, "inode")}\n`;
}

function shortened(key: string): string {
  return key.length <= SHOWN ? key : `${key.slice(0, SHOWN - 1)}…`;
}
