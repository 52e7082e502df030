/** Disks of virtual machines: `ImageInfo`, `ImportResult`, `ExportResult`, and what is asked of import and export. */
import { Type, type Static } from "typebox";
import { count, digest, imageWord, next, nullable, object, reference, text, words } from "./common.ts";

const machineFormat = words(["tart", "vetu", "lume"]);
const FILE_FORMATS = ["raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "parallels"] as const;

const machineFacts = {
  os: nullable(Type.String()),
  architecture: nullable(Type.String()),
  cpuCount: nullable(count()),
  memoryBytes: nullable(count()),
  macAddress: nullable(Type.String()),
  display: nullable(Type.String()),
  diskFormat: nullable(Type.String()),
  problem: nullable(Type.String(), { description: "Why some of that is not known." }),
};

const diskSummary = {
  name: Type.String(),
  key: digest("By which the store knows it."),
  logicalBytes: nullable(count()),
  chunks: count(),
  chunkBytes: nullable(object({ least: count(), most: count() })),
  zeroChunks: count(),
  compressedBytes: count(),
};

export const machineDetails = object(
  { format: machineFormat, ...machineFacts, stacked: Type.Boolean(), disks: Type.Array(object(diskSummary)) },
  { title: "MachineDetails" },
);

export const imageInfo = object(
  {
    kind: Type.Literal("image"),
    name: Type.String(),
    digest: digest(),
    format: machineFormat,
    ...machineFacts,
    stacked: Type.Boolean(),
    canonical: Type.Boolean(),
    uploadTime: nullable(Type.String()),
    disks: Type.Array(
      object({
        ...diskSummary,
        held: nullable(words(["disk", "blobs", "part"])),
        path: nullable(Type.String()),
        allocatedBytes: nullable(count()),
      }),
    ),
  },
  { title: "DiskImage" },
);
export type DiskImage = Static<typeof imageInfo>;

export const diskList = object({ disks: Type.Array(imageInfo), next }, { title: "DiskList" });

const place = (description: string) =>
  text(4096, { description: `${description}, below the daemon's diskDirectory: names with slashes between them.` });

/** No name that means something to programs that read objects. */
const label = "^(?!__proto__$)[^\\u0000-\\u001f\\u007f]{1,128}$";

export const importInput = object(
  {
    path: place("A directory with config.json and disk.img, or a disk"),
    image: reference("What the image is called."),
    format: Type.Optional(words(["auto", ...FILE_FORMATS], { default: "auto" })),
    chunkSize: Type.Optional(
      Type.Integer({ minimum: 1 << 20, maximum: 1 << 30, multipleOf: 1 << 16, description: "Bytes. Default 512 MiB." }),
    ),
    base: Type.Optional(imageWord("An image that the disk was made from: unchanged chunks keep its blobs.")),
    labels: Type.Optional(
      Type.Record(Type.String({ pattern: label }), Type.String({ maxLength: 4096 }), {
        additionalProperties: false,
        maxProperties: 100,
      }),
    ),
    discardBlobs: Type.Optional(Type.Boolean({ default: false })),
    chunkIndex: Type.Optional(Type.Boolean({ default: true })),
    os: Type.Optional(words(["linux", "darwin"], { description: "Of a disk alone. Default linux." })),
    architecture: Type.Optional(words(["arm64", "amd64"], { description: "Of a disk alone." })),
    cpuCount: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
    memorySize: Type.Optional(
      Type.Integer({ minimum: 1 << 20, maximum: Number.MAX_SAFE_INTEGER, description: "Bytes. Default 4 GiB." }),
    ),
  },
  { title: "ImportInput" },
);
export type ImportInput = Static<typeof importInput>;

export const importResult = object(
  {
    source: Type.String(),
    image: Type.String(),
    digest: digest(),
    imageId: digest(),
    format: words(FILE_FORMATS),
    os: Type.String(),
    architecture: Type.String(),
    disk: object({ key: digest(), path: Type.String(), size: count(), allocatedBytes: count() }),
    chunks: object({
      size: count(),
      count: count(),
      distinct: count(),
      holes: count(),
      reused: count(),
      blobBytes: count(),
      how: words(["kept", "discarded"]),
    }),
    chunkIndex: nullable(digest()),
    durationMs: count(),
    peakRssBytes: count(),
    warnings: Type.Array(Type.String()),
  },
  { title: "ImportResult" },
);
export type ImportResult = Static<typeof importResult>;

export const exportInput = object(
  {
    image: imageWord(),
    path: place("Where the directory is made, or with `raw` the file"),
    raw: Type.Optional(Type.Boolean({ default: false, description: "The disk alone." })),
    disk: Type.Optional(text(255, { description: "With `raw`: which disk, of a machine that has several." })),
    force: Type.Optional(Type.Boolean({ default: false, description: "Replace files that are there." })),
    verify: Type.Optional(Type.Boolean({ default: false, description: "Read back what was written." })),
    reflink: Type.Optional(Type.Boolean({ default: true, description: "Share blocks where the file system can." })),
  },
  { title: "ExportInput" },
);
export type ExportInput = Static<typeof exportInput>;

const diskCopy = object(
  {
    source: Type.String(),
    target: Type.String(),
    logicalBytes: count(),
    sourceAllocatedBytes: count(),
    allocatedBytes: nullable(count()),
    copiedBytes: count(),
    reflinkedBytes: count(),
    unchangedBytes: count(),
    holeBytes: count(),
    holesBy: nullable(words(["map", "search"])),
    verified: Type.Boolean(),
    durationMs: count(),
    warnings: Type.Array(Type.String()),
  },
  { title: "DiskCopy" },
);

export const exportResult = object(
  {
    image: Type.String(),
    digest: digest(),
    format: machineFormat,
    target: Type.String(),
    files: Type.Array(object({ name: Type.String(), size: count() })),
    disks: Type.Array(diskCopy),
    logicalBytes: count(),
    allocatedBytes: nullable(count()),
    reflinkedBytes: count(),
    verified: Type.Boolean(),
    warnings: Type.Array(Type.String()),
    durationMs: count(),
  },
  { title: "ExportResult" },
);
export type ExportResult = Static<typeof exportResult>;
