/**
 * What a machine's configuration tells people: those of Tart by its rules, those of other makers as far as they are understood (formats "tart"
 * §1 and §6). Nothing here is needed to run the machine, so what is odd is left out and said, never refused.
 */
import type { DiskImage } from "../../codec/tart/disk-image.ts";
import { MOST_VM_CONFIG_BYTES, parseVmConfig } from "../../codec/tart/vm-config.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import type { Platform } from "../../oci/platform.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../oci/strict-json.ts";
import type { ImageSource } from "../transports/types.ts";
import { collect } from "../transports/verified.ts";

export interface MachineFacts {
  readonly os: string | null;
  readonly architecture: string | null;
  readonly cpuCount: number | null;
  readonly memoryBytes: number | null;
  readonly macAddress: string | null;
  /** `1024x768`, with a unit where it has one. */
  readonly display: string | null;
  /** How the disk's file is to be read: `raw`, or `asif` as only macOS does. */
  readonly diskFormat: string | null;
  /** Why some of that is not known. */
  readonly problem: string | null;
}

type Format = DiskImage["format"];

/** Of an image, wherever it is. @throws VarveError what its source says; the signal's reason */
export async function imageFacts(source: ImageSource, image: DiskImage, signal: AbortSignal): Promise<MachineFacts> {
  const { config, format } = image;
  if (config.size > MOST_VM_CONFIG_BYTES) return unknown(`config.json has ${config.size} bytes`);
  const bytes = await collect(source.blob(config, signal), MOST_VM_CONFIG_BYTES, `config ${config.digest}`);
  return machineFacts(bytes, format);
}

/** Of a `config.json`. @param format undefined when it is not known who has written it */
export function machineFacts(bytes: Uint8Array, format: Format | undefined): MachineFacts {
  try {
    if (format === undefined || format === "tart") return tartFacts(bytes);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return { ...otherFacts(bytes, format), problem: error.message };
  }
  return otherFacts(bytes, format);
}

/** Undefined unless both are known. */
export function platformOfMachine({ os, architecture }: MachineFacts): Platform | undefined {
  return os === null || architecture === null ? undefined : { os, architecture };
}

function tartFacts(bytes: Uint8Array): MachineFacts {
  const { os, architecture, cpuCount, memorySize: memoryBytes, macAddress, display, diskFormat } = parseVmConfig(bytes);
  const { width, height, unit = "" } = display;
  const shown = `${width}x${height}${unit}`;
  return { os, architecture, cpuCount, memoryBytes, macAddress, display: shown, diskFormat, problem: null };
}

function otherFacts(bytes: Uint8Array, format: Format | undefined): MachineFacts {
  let config: JsonValue;
  try {
    config = parseJson(bytes, "config.json", { code: "CONFIG_INVALID" });
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return unknown(error.message);
  }
  if (typeof config !== "object" || config === null || Array.isArray(config))
    return unknown("config.json is no object");
  const os = text(config, "os") ?? (format === "vetu" ? "linux" : null);
  return {
    os: os?.toLowerCase() === "macos" ? "darwin" : os,
    // Lume runs on Macs with processors of Apple alone.
    architecture: text(config, "arch") ?? (format === "lume" ? "arm64" : null),
    cpuCount: count(config, "cpuCount"),
    memoryBytes: count(config, "memorySize"),
    macAddress: text(config, "macAddress"),
    display: text(config, "display"),
    diskFormat: format === undefined || format === "tart" ? null : "raw",
    problem: null,
  };
}

function unknown(problem: string): MachineFacts {
  const nothing = { os: null, architecture: null, cpuCount: null, memoryBytes: null, macAddress: null };
  return { ...nothing, display: null, diskFormat: null, problem };
}

const MOST_LENGTH = 80;

function text(config: JsonObject, name: string): string | null {
  const value = Object.hasOwn(config, name) ? config[name] : undefined;
  return typeof value === "string" && value !== "" && value.length <= MOST_LENGTH ? value : null;
}

function count(config: JsonObject, name: string): number | null {
  const value = Object.hasOwn(config, name) ? config[name] : undefined;
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : null;
}
