/** What is mounted in this process' mount namespace: proc(5), "/proc/pid/mountinfo". */
import { readFileSync } from "node:fs";
import { decodeName } from "./path-bytes.ts";

/** One mount. Paths and options are surrogateescape strings. */
export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** The directory of the file system that is shown; `/` unless it is a bind mount. */
  readonly root: string;
  readonly target: string;
  /** Of this mount: `ro`, `nosuid` ... */
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Of the file system: `lowerdir=...` ... */
  readonly superOptions: readonly string[];
}

/** In order of mounting. @throws NodeJS.ErrnoException where /proc is missing */
export function readMountInfo(): MountInfo[] {
  return parseMountInfo(readFileSync("/proc/self/mountinfo"));
}

export function parseMountInfo(bytes: Uint8Array): MountInfo[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): MountInfo | undefined {
  const fields = line.split(" ");
  // Optional fields, as many as there are, end with a dash.
  const dash = fields.indexOf("-", 6);
  if (dash === -1) return undefined;
  const at = (index: number): string => fields[index] ?? "";
  return {
    id: Number(at(0)),
    parent: Number(at(1)),
    device: at(2),
    root: unescape(at(3)),
    target: unescape(at(4)),
    options: at(5).split(","),
    type: at(dash + 1),
    source: unescape(at(dash + 2)),
    // Commas in values are escaped too, those between options are not.
    superOptions: fields
      .slice(dash + 3)
      .join(" ")
      .split(",")
      .map(unescape),
  };
}

/** Blanks, line ends and backslashes stand as `\` and three octal digits; all other bytes as they are. */
function unescape(field: string): string {
  const latin1 = field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return decodeName(Buffer.from(latin1, "latin1"));
}
