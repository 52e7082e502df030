/** What is asked of a pull and said of one: `PullInput` and `PullResult`. */
import { Type, type Static } from "typebox";
import { byteCounts, count, digest, driver, nullable, object, platform, reference, words } from "./common.ts";

const how = words([
  "present",
  "full",
  "resumed",
  "zstd-chunked",
  "estargz",
  "librsync-delta",
  "tar-diff",
  "disk",
] as const);

const deltaWay = words(["auto", "never", "always"], {
  default: "auto",
  description: "Whether layers may come as deltas, or have to.",
});

export const pullInput = object(
  {
    reference: reference("Of an image in a registry."),
    platform: Type.Optional(platform()),
    unpack: Type.Optional(Type.Boolean({ default: true, description: "Unpack layers into snapshots." })),
    delta: Type.Optional(deltaWay),
    discardBlobs: Type.Optional(
      Type.Boolean({ default: false, description: "Give up each layer's blob once it is unpacked." }),
    ),
  },
  { title: "PullInput" },
);
export type PullInput = Static<typeof pullInput>;

export const planInput = object(
  {
    reference: reference("Of an image in a registry."),
    platform: Type.Optional(platform()),
    unpack: Type.Optional(Type.Boolean({ default: true })),
    delta: Type.Optional(deltaWay),
  },
  { title: "PlanInput" },
);
export type PlanInput = Static<typeof planInput>;

export const layerResult = object(
  {
    digest: digest("Of the blob."),
    diffId: nullable(digest()),
    mediaType: Type.String(),
    size: count("Bytes as the manifest has it."),
    how,
    bytes: byteCounts,
    fallbacks: Type.Array(object({ from: Type.String(), reason: Type.String() })),
    unpack: nullable(words(["present", "adopted", "unpacked"])),
    requests: count(),
    why: Type.Optional(Type.String({ description: "Why this way." })),
  },
  { title: "LayerResult" },
);
export type LayerResult = Static<typeof layerResult>;

export const diskResult = object(
  {
    name: Type.String(),
    key: digest(),
    size: nullable(count()),
    allocatedBytes: nullable(count()),
    path: nullable(Type.String()),
    bytes: object({
      network: count(),
      local: count(),
      data: count(),
      zero: count(),
      copied: count("Of the local bytes those from another place of the same disks."),
    }),
    requests: count(),
  },
  { title: "DiskResult" },
);

export const pullResult = object(
  {
    reference: Type.String(),
    digest: nullable(digest(), { description: "Of the root: what the tag points to." }),
    deltaDigest: Type.Optional(digest("Of the delta image, where the name was that of one.")),
    mediaType: Type.String(),
    platform: nullable(Type.String()),
    imageId: digest(),
    chainId: nullable(digest()),
    status: words(["pulled", "up-to-date", "planned"]),
    snapshotter: nullable(driver),
    bytes: object({ network: count(), local: count(), data: count(), zero: count(), total: count() }),
    requests: count(),
    retries: count(),
    resumedBytes: count(),
    durationMs: count(),
    peakRssBytes: count(),
    layers: Type.Array(layerResult),
    disks: Type.Optional(Type.Array(diskResult)),
    warnings: Type.Array(Type.String()),
  },
  { title: "PullResult" },
);
export type PullResult = Static<typeof pullResult>;
