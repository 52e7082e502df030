/**
 * The use case "disk clone": one more machine to run, from an image of the store or from another machine's directory. Its disks share blocks where
 * the file system can; its network card has an address of its own, so that both can be in one network.
 */
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { DiskImage } from "../../codec/tart/disk-image.ts";
import { macAddressIn, randomMacAddress, withMacAddress } from "../../codec/tart/mac-address.ts";
import { MOST_VM_CONFIG_BYTES } from "../../codec/tart/vm-config.ts";
import type { DiskCopy } from "../../disk/copy-report.ts";
import { FreshDirectory } from "../../disk/fresh-directory.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { TransferContext } from "../context.ts";
import { collect } from "../transports/verified.ts";
import { copyOut, totalOf, type CopiedDisks, type CopyOutOptions } from "./copy-out.ts";
import { diskFile } from "./disk-file.ts";
import { machineFiles, VM_CONFIG_NAME } from "./machine-files.ts";
import { machineAt } from "./machine-place.ts";
import type { OpenDiskImage } from "./open-disk-image.ts";
import { readMachineDirectory } from "./read-directory.ts";
import { writeSmall } from "./write-small.ts";

export interface CloneOptions extends CopyOutOptions {
  /** Whether the address of the network card stays what it is. Default false: a random one takes its place. */
  readonly keepMac?: boolean;
}

export interface CloneResult extends CopiedDisks {
  /** The image's name, or the directory. */
  readonly source: string;
  readonly target: string;
  /** Null when it is not known who made it. */
  readonly format: DiskImage["format"] | null;
  /** Of the new machine; null when its configuration has none. */
  readonly macAddress: string | null;
  /** Whether it is a new one. */
  readonly newMac: boolean;
  readonly durationMs: number;
}

/** What is cloned: files that are made one by one in the new directory, and the configuration. */
interface Original {
  readonly source: string;
  readonly format: DiskImage["format"] | null;
  readonly config: Buffer;
  /** Without the configuration. */
  readonly files: readonly {
    readonly name: string;
    /** @returns what was copied of a disk */
    make(path: string, shown: string): Promise<DiskCopy | undefined>;
  }[];
}

/**
 * @param text an image of the store, or a machine's directory, which nobody may write to meanwhile
 * @param directory empty, or made
 * @throws VarveError `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `PATH_INVALID`, `CONFIG_INVALID`, `TARGET_NOT_EMPTY`, `SOURCE_CHANGED` and as exporting
 */
export async function cloneMachine(
  context: TransferContext,
  text: string,
  directory: string,
  options: CloneOptions = {},
): Promise<CloneResult> {
  const place = await machineAt(context, text);
  switch (place.kind) {
    case "image": {
      await using opened = place.opened;
      return await clone(context, await ofImage(context, opened, options), directory, options);
    }
    case "directory":
      return clone(context, await ofDirectory(context, place.path, options), directory, options);
    case "file":
      throw new VarveError("PATH_INVALID", `${place.path} is a file, not a machine's directory`, {
        hint: "varve disk copy copies a disk alone",
      });
  }
}

async function clone(
  { signal }: TransferContext,
  { source, format, config, files }: Original,
  directory: string,
  { keepMac = false }: CloneOptions,
): Promise<CloneResult> {
  const started = performance.now();
  const newMac = !keepMac && macAddressIn(config) !== undefined;
  const own = newMac ? withMacAddress(config, randomMacAddress()) : config;
  await using fresh = await FreshDirectory.create(resolve(directory));
  const disks: DiskCopy[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    const copied = await file.make(join(fresh.path, file.name), join(fresh.target, file.name));
    if (copied !== undefined) disks.push(copied);
  }
  await writeFile(join(fresh.path, VM_CONFIG_NAME), own, { flag: "wx", flush: true });
  signal.throwIfAborted();
  await fresh.publish([...files.map(({ name }) => name), VM_CONFIG_NAME]);
  const macAddress = keepMac ? addressIfAny(own) : (macAddressIn(own) ?? null);
  const durationMs = Math.round(performance.now() - started);
  return { source, target: fresh.target, format, macAddress, newMac, ...totalOf(disks), durationMs };
}

/** Whoever keeps the address keeps the configuration, whatever is in it. */
function addressIfAny(config: Buffer): string | null {
  try {
    return macAddressIn(config) ?? null;
  } catch {
    return null;
  }
}

async function ofImage(context: TransferContext, opened: OpenDiskImage, options: CloneOptions): Promise<Original> {
  const { record, image, source } = opened;
  const held = new Map<string, string>();
  for (const disk of opened.disks) held.set(disk.key, (await diskFile(context, opened, disk)).path);
  const files = machineFiles(opened).filter(({ name }) => name !== VM_CONFIG_NAME);
  return {
    source: record.name,
    format: image.format,
    config: await collect(source.blob(image.config, context.signal), MOST_VM_CONFIG_BYTES, "config.json"),
    files: files.map((file) => ({
      name: file.name,
      async make(path, shown) {
        if (file.kind === "disk") return copyOut(context, held.get(file.disk.key)!, { path, shown }, options);
        await writeSmall(context, source, file, path);
        return undefined;
      },
    })),
  };
}

async function ofDirectory(context: TransferContext, path: string, options: CloneOptions): Promise<Original> {
  const { config, files, others, disks, format } = await readMachineDirectory(path);
  if (others.length > 0) {
    throw new VarveError(
      "PATH_INVALID",
      `${join(path, others[0]!)} is no file, so the machine cannot be cloned whole`,
      {
        hint: "move it away, or give it a name that begins with a dot",
      },
    );
  }
  return {
    source: path,
    format: format ?? null,
    config,
    files: files
      .filter((name) => name !== VM_CONFIG_NAME)
      .map((name) => ({
        name,
        async make(to, shown) {
          const copied = await copyOut(context, join(path, name), { path: to, shown }, options);
          return disks.includes(name) ? copied : undefined;
        },
      })),
  };
}
