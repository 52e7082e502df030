/** What an image of a machine, its directory or a disk's file is, for people. */
import type { DirectoryInfo, DiskInformation, ImageInfo } from "../../transfer/disks/info.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, plural } from "./units.ts";

type DiskOfImage = ImageInfo["disks"][number];
type File = Pick<
  DirectoryInfo["disks"][number],
  "format" | "logicalBytes" | "allocatedBytes" | "dataBytes" | "extents"
>;

/** With `quiet` only the path of each disk that is a file here. */
export function renderDiskInfo(info: DiskInformation, { quiet }: View): string {
  const lines = quiet ? pathsOf(info) : linesOf(info);
  return lines.map((line) => `${line}\n`).join("");
}

function pathsOf(info: DiskInformation): string[] {
  if (info.kind === "file") return [sanitize(info.path)];
  return info.disks.flatMap(({ path }) => (path === null ? [] : [sanitize(path)]));
}

function linesOf(info: DiskInformation): string[] {
  switch (info.kind) {
    case "image":
      return [
        `${sanitize(info.name)}: virtual machine of ${info.format}${info.stacked ? ", its disks a stack" : ""}`,
        ...machine(info),
        ...info.disks.flatMap((disk) => [`  ${sanitize(disk.name)}`, ...ofImage(disk)]),
      ];
    case "directory":
      return [
        `${sanitize(info.path)}: directory of a virtual machine${info.format === null ? "" : ` of ${info.format}`}`,
        ...machine(info),
        ...info.disks.flatMap((disk) => [`  ${sanitize(disk.name)}`, ...ofFile(disk)]),
      ];
    case "file":
      return [`${sanitize(info.path)}: disk`, ...ofFile(info)];
  }
}

function machine(info: ImageInfo | DirectoryInfo): string[] {
  const { os, architecture, cpuCount, memoryBytes, macAddress, display, problem } = info;
  const facts = [
    [os, architecture].filter((word) => word !== null).join("/"),
    cpuCount === null ? "" : plural(cpuCount, "processor"),
    memoryBytes === null ? "" : `${formatBytes(memoryBytes)} of memory`,
    display === null ? "" : `display ${display}`,
    macAddress === null ? "" : `address ${macAddress}`,
  ].filter((fact) => fact !== "");
  return [
    `  machine   ${facts.length === 0 ? "not known" : sanitize(facts.join(", "))}`,
    ...(problem === null ? [] : [`  problem   ${sanitize(problem)}`]),
  ];
}

function ofImage(disk: DiskOfImage): string[] {
  const { logicalBytes, chunks, chunkBytes, zeroChunks, compressedBytes } = disk;
  const length = logicalBytes === null ? "only its decoding tells" : formatBytes(logicalBytes);
  const zeros = zeroChunks === 0 ? "" : `, ${zeroChunks} of zeros`;
  const most = chunkBytes === null ? "" : ` of up to ${formatBytes(chunkBytes.most)}`;
  return [
    `    length  ${length}`,
    `    chunks  ${chunks}${most}${zeros}, ${formatBytes(compressedBytes)} compressed`,
    `    here    ${heldIn(disk)}`,
  ];
}

function heldIn({ held, path, allocatedBytes }: DiskOfImage): string {
  const takes = allocatedBytes === null ? "" : `, takes ${formatBytes(allocatedBytes)}`;
  switch (held) {
    case "disk":
      return `${sanitize(path ?? "")}${takes}`;
    case "blobs":
      return "its blobs, of which export and clone make it";
    case "part":
      return `a part of it${takes}; varve pull goes on`;
    case null:
      return "no; varve pull gets it";
  }
}

function ofFile({ format, logicalBytes, allocatedBytes, dataBytes, extents }: File): string[] {
  const holes =
    dataBytes === null || extents === null
      ? "the file system does not tell"
      : `${formatBytes(logicalBytes - dataBytes)}, ${plural(extents, "run")} of data between them`;
  return [
    `    length  ${formatBytes(logicalBytes)}, takes ${formatBytes(allocatedBytes)}`,
    `    holes   ${holes}`,
    `    format  ${format}`,
  ];
}
