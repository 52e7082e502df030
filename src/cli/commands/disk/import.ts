/** `varve disk import DIR|FILE IMAGE` */
import { DISK_FORMATS } from "../../../disk/import/disk-format.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import type { ImportOptions, ImportResult } from "../../../transfer/disks/import-disk.ts";
import { parseChoice, parseCount, parseEpoch, parsePath, parseSize } from "../../parse-values.ts";
import { renderImport } from "../../print/disk-import.ts";
import type { Flags, Settings } from "../../settings.ts";
import type { Action } from "../actions/action.ts";

const FORMATS = ["auto", ...DISK_FORMATS] as const;
const OSES = ["linux", "darwin"] as const;
const ARCHITECTURES = ["arm64", "amd64"] as const;
const MOST_CPUS = 1024;

export const importAction: Action<ImportResult> = {
  name: "import",
  usage:
    "import DIR|FILE IMAGE [--format KIND] [--disk-chunk-size BYTES] [--base IMAGE] [--label K=V] [--discard-blobs]",
  words: [2, 2],
  completes: ({ length }) => (length === 0 ? "file" : "image"),
  flags: [
    {
      flags: "--format <kind>",
      summary: "what kind of disk image the file is; default auto: by its first bytes",
      choices: FORMATS,
    },
    {
      flags: "--disk-chunk-size <bytes>",
      summary: "bytes of the disk in each chunk, a multiple of 64 KiB from 1 MiB to 1 GiB; default 512 MiB",
    },
    {
      flags: "--label <name=value>",
      summary: "a label of the image's config; may be given again",
      repeats: true,
    },
    {
      flags: "--base <image>",
      summary:
        "an image that the disk was made from: unchanged chunks keep its blobs, and a push sends only the others",
      completes: "image",
    },
    {
      flags: "--discard-blobs",
      summary: "keep the disk and not the blobs, which are made of it again when it is pushed",
    },
    {
      flags: "--no-chunk-index",
      summary: "make no index of the pieces of chunks, by which pulls of an update fetch a part of each changed chunk",
    },
    {
      flags: "--os <os>",
      summary: "of a disk alone: what the machine runs; default linux",
      choices: OSES,
    },
    {
      flags: "--arch <arch>",
      summary: "of a disk alone: the machine's architecture; default: this machine's",
      choices: ARCHITECTURES,
    },
    { flags: "--cpus <n>", summary: "of a disk alone: processors of the machine; default 4" },
    { flags: "--memory <bytes>", summary: "of a disk alone: memory of the machine; default 4GiB" },
  ],
  notes: [
    "import makes an image that Tart takes of DIR, which has config.json, disk.img and nvram.bin, or of a disk alone; the disk is copied into the store " +
      "first, or shared, and its holes are not read. Disks of other kinds are made raw by qemu-img. Small chunks make updates small, and manifests " +
      "large and requests many. SOURCE_DATE_EPOCH is the upload time, where the environment has it.",
  ],
  examples: [
    "varve disk import ~/.tart/vms/runner registry.example/vms/runner:1",
    "varve disk import --cpus 2 --memory 2GiB debian.qcow2 registry.example/vms/debian:12",
  ],

  async run({ args, flags, settings, services, logger }) {
    const [path = "", image = ""] = args;
    const imported = await services.importDisk(parsePath("DIR|FILE", path), image, importOptions(flags, settings));
    for (const warning of imported.warnings) logger.warn(warning);
    return imported;
  },

  render: renderImport,
};

/** @throws VarveError `USAGE` */
function importOptions(flags: Flags, settings: Settings): ImportOptions {
  const text = (name: string): string | undefined => flags[name] as string | undefined;
  const base = text("base");
  const [os, arch, cpus, memory] = [text("os"), text("arch"), text("cpus"), text("memory")];
  const [format, chunkSize] = [text("format"), text("diskChunkSize")];
  return {
    discardBlobs: flags["discardBlobs"] === true,
    chunkIndex: flags["chunkIndex"] !== false,
    ...(base !== undefined && { base }),
    ...(format !== undefined && { format: parseChoice("--format", format, FORMATS) }),
    ...(chunkSize !== undefined && { chunkSize: parseSize("--disk-chunk-size", chunkSize) }),
    ...(os !== undefined && { os: parseChoice("--os", os, OSES) }),
    ...(arch !== undefined && { architecture: parseChoice("--arch", arch, ARCHITECTURES) }),
    ...(cpus !== undefined && { cpuCount: parseCount("--cpus", cpus, 1, MOST_CPUS) }),
    ...(memory !== undefined && { memorySize: parseMemory(memory) }),
    ...(flags["label"] !== undefined && { labels: parseLabels(flags["label"] as readonly string[]) }),
    ...parseEpoch(settings.sourceDateEpoch),
  };
}

function parseMemory(text: string): number {
  const bytes = parseSize("--memory", text);
  if (bytes >= 1 << 20) return bytes;
  throw new VarveError("USAGE", "--memory takes at least 1 MiB");
}

function parseLabels(texts: readonly string[]): Readonly<Record<string, string>> {
  const labels = texts.map((text): readonly [string, string] => {
    const equals = text.indexOf("=");
    if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
    throw new VarveError("USAGE", `--label takes NAME=VALUE, not ${JSON.stringify(text.slice(0, 80))}`);
  });
  return Object.fromEntries(labels);
}
