/** A machine's directory, whoever made it: its configuration, and which of its files are disks. Names and contents are somebody else's. */
import { constants } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DiskImage } from "../../codec/tart/disk-image.ts";
import { formatOf } from "../../codec/tart/format-of.ts";
import { MOST_VM_CONFIG_BYTES } from "../../codec/tart/vm-config.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { MAX_DOCUMENT_BYTES, parseManifest } from "../../oci/manifest.ts";
import { VM_CONFIG_NAME } from "./machine-files.ts";

/** Files of a machine that are none of its disks. */
const OTHERS: ReadonlySet<string> = new Set([VM_CONFIG_NAME, "nvram.bin", "manifest.json", "kernel", "initramfs"]);
const MOST_FILES = 1000;

export interface MachineDirectory {
  readonly path: string;
  /** Who made it, as far as its files tell. */
  readonly format: DiskImage["format"] | undefined;
  /** The bytes of `config.json`. */
  readonly config: Buffer;
  /** Names of all its files, and of links to files, `config.json` too. Hidden ones, such as locks, are not the machine's. */
  readonly files: readonly string[];
  /** Names of what may be a part of it and is no file: directories, devices, links to nothing. Sockets and pipes are of who runs it. */
  readonly others: readonly string[];
  /** Names of its disks. */
  readonly disks: readonly string[];
}

/** @throws VarveError `FILE_NOT_FOUND` when it has no `config.json`, `CONFIG_INVALID` when that is too large, `PATH_INVALID`, `PERMISSION`, `IO` */
export async function readMachineDirectory(path: string): Promise<MachineDirectory> {
  const config = await readSmall(join(path, VM_CONFIG_NAME), MOST_VM_CONFIG_BYTES);
  if (config === undefined) {
    throw new VarveError("FILE_NOT_FOUND", `${path} has no ${VM_CONFIG_NAME}, so it is no machine's directory`, {
      hint: "name the directory of a machine, an image of the store or a disk's file",
    });
  }
  const names = await readdir(path).catch((error: unknown) => {
    throw toVarveError(error, `reading ${path}`);
  });
  const [files, others]: [string[], string[]] = [[], []];
  for (const name of names.toSorted()) {
    if (name.startsWith(".")) continue;
    const found = await stat(join(path, name)).catch(() => undefined);
    if (found?.isFile() === true) files.push(name);
    else if (found?.isSocket() !== true && found?.isFIFO() !== true) others.push(name);
    if (files.length > MOST_FILES) throw new VarveError("PATH_INVALID", `${path} has more than ${MOST_FILES} files`);
  }
  const manifest = await readSmall(join(path, "manifest.json"), MAX_DOCUMENT_BYTES).catch(() => undefined);
  const disks = files.filter((name) => !OTHERS.has(name));
  return { path, config, files, others, disks, format: formatIn(files, manifest) };
}

/** Its manifest says it where it has one. */
function formatIn(files: readonly string[], manifest: Buffer | undefined): DiskImage["format"] | undefined {
  try {
    const document = manifest && parseManifest(manifest);
    const said = document?.kind === "manifest" ? formatOf(document) : undefined;
    if (said !== undefined) return said;
  } catch {
    // Whatever it is, the files still tell.
  }
  return files.includes("kernel") ? "vetu" : undefined;
}

/** Undefined when it is missing. @throws VarveError `CONFIG_INVALID` when it has more bytes */
async function readSmall(path: string, limit: number): Promise<Buffer | undefined> {
  try {
    // Whoever waits at a pipe there keeps nobody waiting.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = await file.stat();
    if (size > limit) throw new VarveError("CONFIG_INVALID", `${path} has ${size} bytes`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limit + 1), 0, limit + 1, 0);
    if (bytesRead > limit) throw new VarveError("CONFIG_INVALID", `${path} has more than ${limit} bytes`);
    return Buffer.from(buffer.subarray(0, bytesRead));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw toVarveError(error, `reading ${path}`);
  }
}
