/**
 * The configuration of a virtual machine that lies beside its disk in Tart's images (formats "tart" §1, "VM config JSON"). It is carried on
 * byte for byte; what is read here is for telling people, and for the image's config. One is written for disks that have none.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { Fields } from "../../oci/fields.ts";
import { parseJson } from "../../oci/strict-json.ts";
import { foundationJson } from "./foundation-json.ts";

/** The only one there is. */
const VERSION = 1;
const OSES = ["darwin", "linux"] as const;
const ARCHITECTURES = ["arm64", "amd64"] as const;
const DISK_FORMATS = ["raw", "asif"] as const;
const MAC_ADDRESS = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i;
/** One of real machines has about 1 kB, most of it base64. */
export const MOST_VM_CONFIG_BYTES = 1 << 20;

export interface VmConfig {
  readonly os: (typeof OSES)[number];
  readonly architecture: (typeof ARCHITECTURES)[number];
  readonly cpuCount: number;
  readonly cpuCountMin: number;
  /** Bytes. */
  readonly memorySize: number;
  readonly memorySizeMin: number;
  readonly macAddress: string;
  /** In points, or as the unit says. */
  readonly display: { readonly width: number; readonly height: number; readonly unit?: "pt" | "px" };
  readonly diskFormat: (typeof DISK_FORMATS)[number];
}

/**
 * Tart's `config.json`; what it leaves out has Tart's own defaults.
 * @throws VarveError `CONFIG_INVALID`
 */
export function parseVmConfig(bytes: Uint8Array, what = "config.json"): VmConfig {
  if (bytes.length > MOST_VM_CONFIG_BYTES) throw new VarveError("CONFIG_INVALID", `${what} has ${bytes.length} bytes`);
  const fields = Fields.of(parseJson(bytes, what, { code: "CONFIG_INVALID" }), what, "CONFIG_INVALID");
  if (fields.raw("version") !== VERSION) fields.refuse("version", `is not ${VERSION}`);
  const macAddress = fields.string("macAddress");
  if (!MAC_ADDRESS.test(macAddress)) fields.refuse("macAddress", "is not the address of a network card");
  return {
    os: oneOf(fields, "os", OSES, "darwin"),
    architecture: oneOf(fields, "arch", ARCHITECTURES, "arm64"),
    cpuCount: fields.size("cpuCount"),
    cpuCountMin: fields.size("cpuCountMin"),
    memorySize: fields.size("memorySize"),
    memorySizeMin: fields.size("memorySizeMin"),
    macAddress,
    display: displayOf(fields.optionalObject("display")),
    diskFormat: oneOf(fields, "diskFormat", DISK_FORMATS, "raw"),
  };
}

/** A machine that runs Linux, as `config.json` has it; those of macOS need keys that only a Mac can make. */
export function linuxVmConfig(
  config: Omit<VmConfig, "os" | "display"> & { readonly display?: VmConfig["display"] },
): Buffer {
  const { architecture: arch, display = { width: 1024, height: 768 }, ...others } = config;
  return Buffer.from(foundationJson({ version: VERSION, os: "linux", arch, display, ...others }));
}

function displayOf(fields: Fields | undefined): VmConfig["display"] {
  if (fields === undefined) return { width: 1024, height: 768 };
  const size = { width: fields.size("width"), height: fields.size("height") };
  return fields.raw("unit") === undefined ? size : { ...size, unit: oneOf(fields, "unit", ["pt", "px"], "pt") };
}

function oneOf<T extends string>(fields: Fields, name: string, known: readonly T[], otherwise: T): T {
  const text = fields.optionalString(name) ?? otherwise;
  const found = known.find((one) => one === text);
  return found ?? fields.refuse(name, `is ${JSON.stringify(text.slice(0, 80))}, not ${known.join(" or ")}`);
}
