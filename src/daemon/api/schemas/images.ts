/** Images of the store: `ImageRow`, `ImageDetails`, `RemoveResult`; and the strata of one, its layers with who else has them. */
import { Type, type Static } from "typebox";
import { count, digest, next, nullable, object, reference } from "./common.ts";
import { machineDetails } from "./disks.ts";

export const imageRow = object(
  {
    name: Type.String(),
    tag: nullable(Type.String()),
    digest: digest("Of the root."),
    imageId: nullable(digest()),
    platform: nullable(Type.String()),
    size: count("Bytes of config and layers, as stored."),
    layers: count(),
    createdAt: nullable(Type.String()),
    pulledAt: Type.String(),
  },
  { title: "ImageRow" },
);
export type ImageRow = Static<typeof imageRow>;

export const imageList = object({ images: Type.Array(imageRow), next }, { title: "ImageList" });
export type ImageList = Static<typeof imageList>;

export const imageDetails = object(
  {
    name: Type.String(),
    digest: digest(),
    mediaType: Type.String(),
    manifestDigest: digest(),
    imageId: digest(),
    platform: nullable(Type.String()),
    created: nullable(Type.String()),
    author: nullable(Type.String()),
    size: count(),
    layers: Type.Array(
      object({ digest: digest(), diffId: nullable(digest()), mediaType: Type.String(), size: count() }),
    ),
    config: Type.Record(Type.String(), Type.Unknown(), { description: "As the image's config has it." }),
    annotations: Type.Record(Type.String(), Type.String()),
    machine: Type.Optional(machineDetails),
    platforms: Type.Array(Type.String()),
  },
  { title: "ImageDetails" },
);
export type ImageDetails = Static<typeof imageDetails>;

export const removeResult = object(
  {
    untagged: Type.Array(Type.String()),
    deleted: Type.Array(digest()),
    disks: Type.Array(digest()),
    snapshots: count(),
    freedBytes: count(),
  },
  { title: "RemoveResult" },
);
export type RemoveResult = Static<typeof removeResult>;

export const stratum = object(
  {
    digest: digest("Of the blob."),
    diffId: nullable(digest()),
    mediaType: Type.String(),
    size: count("Bytes of the blob."),
    uncompressedSize: nullable(count(), { description: "Bytes of the tar; null where it was never measured." }),
    sharedWith: Type.Array(Type.String(), {
      description: "Names of other images that have this layer, in order; 100 at most.",
    }),
    shares: count("How many other images have it."),
  },
  { title: "Stratum" },
);
export type Stratum = Static<typeof stratum>;

export const strata = object(
  { name: Type.String(), layers: Type.Array(stratum, { description: "Bottom to top." }) },
  { title: "Strata" },
);

export const tagInput = object(
  { name: reference("What it is called as well; without a digest.") },
  { title: "TagInput" },
);

export const tagged = object({ name: Type.String(), digest: digest() }, { title: "Tagged" });
export type Tagged = Static<typeof tagged>;
