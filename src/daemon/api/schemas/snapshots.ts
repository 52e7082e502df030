/** The snapshot service: `SnapshotRow`, `PreparedSnapshot`, `Mount`, `Usage`. */
import { Type, type Static } from "typebox";
import { count, driver, next, nullable, object, platform, snapshotKey, words } from "./common.ts";

const kind = words(["active", "view", "committed"]);

export const mount = object(
  {
    type: words(["erofs", "overlay", "bind"]),
    source: Type.String(),
    options: Type.Array(Type.String(), { description: "As mount(8) writes them." }),
    target: Type.Optional(Type.String({ description: "Where it goes when that is not the final target." })),
  },
  { title: "Mount" },
);

export const snapshotRow = object(
  {
    key: Type.String(),
    kind,
    driver,
    parent: nullable(Type.String()),
    bytes: nullable(count()),
    inodes: nullable(count()),
    labels: Type.Record(Type.String(), Type.String()),
    createdAt: Type.String(),
    updatedAt: Type.String(),
  },
  { title: "SnapshotRow" },
);
export type SnapshotRow = Static<typeof snapshotRow>;

export const snapshotList = object({ snapshots: Type.Array(snapshotRow), next }, { title: "SnapshotList" });
export type SnapshotList = Static<typeof snapshotList>;

export const snapshotInput = object(
  {
    key: snapshotKey("What it is called."),
    parent: Type.Optional(
      snapshotKey("A committed snapshot, or an image of the store. Default: it stands on nothing."),
    ),
    kind: Type.Optional(words(["active", "view"], { default: "active", description: "To be written, or only read." })),
    platform: Type.Optional(platform("Of the image that it stands on. Default: the one that was pulled.")),
  },
  { title: "SnapshotInput" },
);
export type SnapshotInput = Static<typeof snapshotInput>;

export const preparedSnapshot = object(
  { key: Type.String(), kind, driver, parent: nullable(Type.String()), mounts: Type.Array(mount) },
  { title: "PreparedSnapshot" },
);
export type PreparedSnapshot = Static<typeof preparedSnapshot>;

export const commitInput = object(
  {
    name: snapshotKey("Of the committed snapshot."),
    parent: Type.Optional(snapshotKey("A parent that it is bound to only now.")),
  },
  { title: "CommitInput" },
);
export type CommitInput = Static<typeof commitInput>;

export const mountList = object({ mounts: Type.Array(mount) }, { title: "MountList" });

export const snapshotUsage = object(
  { key: Type.String(), bytes: count(), inodes: count() },
  { title: "SnapshotUsage" },
);
