/** The store as a whole: `GcResult`, `StoreReport`, `DiskUsage`, and the version of who keeps it. */
import { Type, type Static } from "typebox";
import { count, counted, digest, imageWord, object, words } from "./common.ts";

/** A year and more is as good as for ever. */
const age = Type.Integer({
  minimum: 0,
  maximum: 1e12,
  description: "Partial data goes when it is older than this. Default: a week; 0 takes all that is not in use.",
});

export const gcInput = object(
  { partialsOlderThanMs: Type.Optional(age), dryRun: Type.Optional(Type.Boolean({ default: false })) },
  { title: "GcInput" },
);
export type GcInput = Static<typeof gcInput>;

export const gcQuery = object({ partialsOlderThanMs: Type.Optional(age) });

export const gcResult = object(
  {
    blobs: counted,
    disks: counted,
    partials: counted,
    partialDisks: counted,
    records: count(),
    leases: count(),
    locks: count(),
    temporary: count(),
    freedBytes: count("In all, what was unpacked included."),
    broken: Type.Array(object({ image: Type.String(), reason: Type.String() })),
    snapshots: counted,
    layers: counted,
    folders: counted,
    dryRun: Type.Boolean(),
    durationMs: count(),
  },
  { title: "GcResult" },
);
export type GcResult = Static<typeof gcResult>;

export const fsckInput = object(
  {
    images: Type.Optional(Type.Array(imageWord(), { maxItems: 1000, description: "Only these. Default: everything." })),
    repair: Type.Optional(Type.Boolean({ default: false, description: "Mend what can be mended." })),
  },
  { title: "FsckInput" },
);
export type FsckInput = Static<typeof fsckInput>;

const FINDINGS = [
  "layout",
  "database",
  "image-record",
  "index",
  "blob-damaged",
  "blob-truncated",
  "blob-missing",
  "document-invalid",
  "diffid-mismatch",
  "layer-record",
  "layer-damaged",
  "disk-missing",
  "disk-damaged",
  "disk-mode",
  "disk-record",
  "snapshot-missing",
  "snapshot-damaged",
  "index-damaged",
  "snapshot-stale",
  "blob-unreferenced",
  "disk-unreferenced",
  "partial-stale",
  "lock-stale",
  "record-unused",
  "file-unknown",
] as const;

export const storeReport = object(
  {
    sound: Type.Boolean(),
    checked: object({
      images: count(),
      blobs: count(),
      bytes: count(),
      layers: count(),
      snapshots: count(),
      disks: count(),
    }),
    findings: Type.Array(
      object(
        {
          kind: words(FINDINGS),
          severity: words(["error", "note"]),
          digest: Type.Optional(digest()),
          image: Type.Optional(Type.String()),
          path: Type.Optional(Type.String()),
          message: Type.String(),
          repaired: Type.Optional(Type.Boolean()),
        },
        { title: "Finding" },
      ),
    ),
    durationMs: count(),
  },
  { title: "StoreReport" },
);
export type StoreReport = Static<typeof storeReport>;

export const diskUsage = object(
  {
    root: Type.String(),
    images: object({
      count: count(),
      sharedBytes: count(),
      each: Type.Array(object({ name: Type.String(), bytes: count(), ownBytes: count() })),
    }),
    blobs: counted,
    repositories: counted,
    unreferenced: counted,
    ingests: counted,
    disks: object({ count: count(), bytes: count(), logicalBytes: count() }),
    partialDisks: counted,
    snapshots: counted,
    layers: counted,
    totalBytes: count(),
  },
  { title: "DiskUsage" },
);
export type DiskUsage = Static<typeof diskUsage>;

export const version = object(
  { version: Type.String(), node: Type.String(), system: Type.String({ examples: ["linux-x64"] }) },
  { title: "Version" },
);
