/** Deltas between images: `DeltaInput`, `DeltaCreated`, `DeltaDetails`, and the list of those that the store holds. */
import { Type, type Static } from "typebox";
import { count, digest, imageWord, next, nullable, object, platform, reference, words } from "./common.ts";

const format = words(["librsync", "tar-diff"]);

export const deltaInput = object(
  {
    base: imageWord("What whoever pulls the delta will hold; with a shared queue a reference that workers can pull."),
    target: imageWord("What the delta makes of it; likewise."),
    format: Type.Optional(words(["librsync", "tar-diff"], { default: "librsync" })),
    tag: Type.Optional(reference("What the delta is called in the store. Default: a name that follows from both.")),
    push: Type.Optional(reference("Where in a registry it is pushed to.")),
    platform: Type.Optional(platform("Of both. Default: those that were pulled.")),
  },
  { title: "DeltaInput" },
);
export type DeltaInput = Static<typeof deltaInput>;

export const deltaLayerResult = object(
  {
    diffId: digest("Of the target's layer."),
    how: words(["common", "delta", "literal", "none"]),
    bytes: count(),
    blobBytes: count(),
    deltaBytes: count(),
    deltaBlobBytes: count(),
    commands: count(),
    copiedBytes: count(),
    addedBytes: count(),
    literalBytes: count(),
    helps: Type.Boolean(),
    from: nullable(digest()),
  },
  { title: "DeltaLayerResult" },
);

export const deltaCreated = object(
  {
    format,
    base: Type.String(),
    target: Type.String(),
    baseId: digest(),
    targetId: digest(),
    digest: nullable(digest(), { description: "Of the delta's manifest." }),
    imageId: nullable(digest(), { description: "Of the delta image." }),
    name: nullable(Type.String(), { description: "In the store." }),
    pushed: nullable(Type.String()),
    isListed: Type.Boolean(),
    layers: Type.Array(deltaLayerResult),
    bytes: count(),
    deltaBytes: count(),
    blobBytes: count(),
    deltaBlobBytes: count(),
    helps: Type.Boolean(),
    durationMs: count(),
    peakRssBytes: count(),
    warnings: Type.Array(Type.String()),
  },
  { title: "DeltaCreated" },
);
export type DeltaCreated = Static<typeof deltaCreated>;

export const deltaRow = object(
  {
    name: Type.String(),
    kind: words(["image", "list"], { description: "A delta image, or a manifest of deltas of single layers." }),
    digest: digest("Of the manifest."),
    baseId: nullable(digest()),
    targetId: nullable(digest()),
    targetManifest: nullable(digest()),
    size: count("Bytes of its blobs."),
    createdAt: Type.String(),
  },
  { title: "DeltaRow" },
);
export type DeltaRow = Static<typeof deltaRow>;

export const deltaList = object({ deltas: Type.Array(deltaRow), next }, { title: "DeltaList" });

const inspectedLayer = object(
  {
    diffId: digest(),
    how: words(["librsync-delta", "tar-diff", "common"]),
    blob: digest(),
    bytes: nullable(count()),
    deltaBytes: count(),
    deltaBlobBytes: count(),
    commands: count(),
    copiedBytes: count(),
    addedBytes: count(),
    literalBytes: count(),
    from: Type.Array(digest()),
    isBaseHere: Type.Boolean(),
  },
  { title: "InspectedLayer" },
);

export const deltaDetails = object(
  {
    name: Type.String(),
    kind: words(["image", "list"]),
    digest: digest(),
    base: object({
      imageId: nullable(digest()),
      names: Type.Array(Type.String()),
      diffIds: nullable(Type.Array(digest())),
    }),
    target: object({
      imageId: nullable(digest()),
      names: Type.Array(Type.String()),
      manifest: nullable(digest()),
    }),
    isApplicable: Type.Boolean({ description: "Whether all that it is taken from is here." }),
    layers: Type.Array(inspectedLayer),
    bytes: count(),
    deltaBytes: count(),
    deltaBlobBytes: count(),
  },
  { title: "DeltaDetails" },
);
export type DeltaDetails = Static<typeof deltaDetails>;
