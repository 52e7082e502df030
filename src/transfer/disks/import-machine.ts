/**
 * What is imported: the directory of a virtual machine as Tart has it, `config.json`, `disk.img` and `nvram.bin` (formats "tart" §1); or a disk alone, whose machine is
 * made up.
 */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { linuxVmConfig, parseVmConfig, type VmConfig } from "../../codec/tart/vm-config.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { digestHex, type Digest } from "../../oci/digest.ts";
import { hostPlatform } from "../../oci/platform.ts";
import { readSmallFile } from "../transports/plain-file.ts";

/** The machine that a disk alone gets. */
export interface MachineOptions {
  /** Default `linux`; a machine of macOS has keys in its `config.json` that only a Mac can make. */
  readonly os?: VmConfig["os"];
  /** Default: this machine's. */
  readonly architecture?: VmConfig["architecture"];
  /** Default 4. */
  readonly cpuCount?: number;
  /** Bytes. Default 4 GiB. */
  readonly memorySize?: number;
}

export interface Machine {
  /** Absolute, of the disk. */
  readonly disk: string;
  readonly os: VmConfig["os"];
  readonly architecture: VmConfig["architecture"];
  /** What the disk's bytes are to Tart, whatever they are in the file that is imported. */
  readonly diskFormat: VmConfig["diskFormat"];
  readonly nvram: Buffer;
  /** Its `config.json`: as it is there, or made up of the disk that it belongs to. */
  config(disk: Digest): Buffer;
  readonly warnings: readonly string[];
}

const CONFIG_BYTES = 1 << 20;
/** A Mac's has 32 MiB. */
const NVRAM_BYTES = 64 << 20;
const LEAST_MEMORY = 512 << 20;
const NO_NVRAM =
  "the image gets an empty NVRAM: vetu needs none, Tart makes a machine's when it creates it; import a directory with nvram.bin to have another";

/**
 * @throws VarveError `FILE_NOT_FOUND`, `CONFIG_INVALID`, `PATH_INVALID`, `PERMISSION`; `USAGE` when a directory's `config.json` already says what the options do, or
 * for a machine of macOS without one
 */
export async function readMachine(path: string, options: MachineOptions): Promise<Machine> {
  const found = await stat(path).catch((error: unknown) => {
    throw toVarveError(error, `reading ${path}`);
  });
  return found.isDirectory() ? readDirectory(resolve(path), options) : diskAlone(resolve(path), options);
}

async function readDirectory(directory: string, options: MachineOptions): Promise<Machine> {
  if (Object.values(options).some((value) => value !== undefined)) {
    throw new VarveError("USAGE", `config.json in ${directory} says what machine it is`, {
      hint: "leave out --os, --arch, --cpus and --memory, or import disk.img alone",
    });
  }
  const bytes = await readPart(directory, "config.json", CONFIG_BYTES);
  if (bytes === undefined) {
    throw new VarveError("FILE_NOT_FOUND", `${directory} is no virtual machine: it has no config.json`, {
      hint: "name a directory with config.json and disk.img, or a disk alone",
    });
  }
  const { os, architecture, diskFormat } = parseVmConfig(bytes, join(directory, "config.json"));
  const nvram = await readPart(directory, "nvram.bin", NVRAM_BYTES);
  return {
    disk: join(directory, "disk.img"),
    os,
    architecture,
    diskFormat,
    nvram: nvram ?? Buffer.alloc(0),
    config: () => bytes,
    warnings: nvram === undefined ? [NO_NVRAM] : [],
  };
}

/** Undefined when it is not there. */
async function readPart(directory: string, name: string, most: number): Promise<Buffer | undefined> {
  const path = join(directory, name);
  try {
    return await readSmallFile(path, most);
  } catch (error) {
    if (isVarveError(error, "FILE_NOT_FOUND")) return undefined;
    if (!isVarveError(error, "ARCHIVE_INVALID")) throw error;
    throw new VarveError("PATH_INVALID", error.message, { cause: error });
  }
}

function diskAlone(disk: string, options: MachineOptions): Machine {
  const { os = "linux", cpuCount = 4, memorySize = 4 * 2 ** 30 } = options;
  const architecture = options.architecture ?? (hostPlatform().architecture === "arm64" ? "arm64" : "amd64");
  if (os !== "linux") {
    throw new VarveError("USAGE", "a machine of macOS needs its own config.json, which only a Mac can make", {
      hint: "import the machine's directory",
    });
  }
  const facts = { architecture, cpuCount, cpuCountMin: 1, memorySize, diskFormat: "raw" } as const;
  const memorySizeMin = Math.min(memorySize, LEAST_MEMORY);
  return {
    disk,
    os,
    architecture,
    diskFormat: "raw",
    nvram: Buffer.alloc(0),
    config: (key) => linuxVmConfig({ ...facts, memorySizeMin, macAddress: macAddressOf(key) }),
    warnings: [NO_NVRAM],
  };
}

/** The same for the same disk; unicast, and administered by nobody. */
function macAddressOf(key: Digest): string {
  const bytes = Buffer.from(digestHex(key).slice(0, 12), "hex");
  bytes[0] = (bytes[0]! & 0xfc) | 0x02;
  return bytes.toString("hex").replaceAll(/..(?=.)/g, "$&:");
}
