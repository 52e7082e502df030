/**
 * Disk images of other kinds become raw ones by `qemu-img`, which is told the kind and never left to guess it. An image that leads to other files is
 * refused: whoever made it could have any file of this machine become a part of the disk.
 */
import { spawn } from "node:child_process";
import { VarveError } from "../../errors/varve-error.ts";
import { Fields } from "../../oci/fields.ts";
import { parseJson } from "../../oci/strict-json.ts";
import type { DiskFormat } from "./disk-format.ts";

export interface ForeignDisk {
  /** Absolute. */
  readonly path: string;
  readonly format: Exclude<DiskFormat, "raw">;
}

export interface ConvertDiskOptions {
  readonly signal: AbortSignal;
  /** Between 0 and 1. */
  readonly onProgress?: (share: number) => void;
  /** The program. Default `qemu-img`. */
  readonly program?: string;
}

const MOST_TEXT = 4 << 20;
const CODE = "DISK_UNREADABLE";

/**
 * @returns bytes of the disk that it holds
 * @throws VarveError `DISK_UNREADABLE` when there is no such program, when it does not take the image, or when that needs other files; the signal's
 * reason
 */
export async function foreignDiskSize(disk: ForeignDisk, options: ConvertDiskOptions): Promise<number> {
  const text = await qemuImg(["info", "--output=json", "-f", disk.format, disk.path], options);
  const what = `what qemu-img says of ${disk.path}`;
  const said = parseJson(Buffer.from(text), what, { code: CODE });
  const other = otherFile(said, disk.path);
  if (other !== undefined) {
    throw new VarveError(CODE, `${disk.path} leads to another file: ${other}`, {
      hint: "make it one file first: qemu-img convert -O raw",
    });
  }
  return Fields.of(said, what, CODE).size("virtual-size");
}

/**
 * @param raw a file that is not there yet
 * @throws VarveError `DISK_UNREADABLE`; the signal's reason. What is at `raw` then is the caller's to remove
 */
export async function convertDisk(disk: ForeignDisk, raw: string, options: ConvertDiskOptions): Promise<void> {
  await qemuImg(["convert", "-p", "-f", disk.format, "-O", "raw", disk.path, raw], options);
  options.onProgress?.(1);
}

/** @returns what it writes to stdout, which is also where `-p` tells how far it is */
async function qemuImg(args: readonly string[], options: ConvertDiskOptions): Promise<string> {
  const { signal, onProgress, program = "qemu-img" } = options;
  signal.throwIfAborted();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const stop = (): boolean => child.kill("SIGKILL");
  signal.addEventListener("abort", stop, { once: true });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject);
  child.on("close", resolve);
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] = (text[name] + chunk).slice(-MOST_TEXT);
      const share = [...chunk.matchAll(/\((\d+\.\d+)\/100%\)/g)].at(-1)?.[1];
      if (share !== undefined) onProgress?.(Number(share) / 100);
    });
  }
  try {
    const code = await promise;
    signal.throwIfAborted();
    if (code === 0) return text.stdout;
    const said = text.stderr.replaceAll(/\s+/g, " ").trim().slice(0, 500);
    throw new VarveError(CODE, said === "" ? `qemu-img ended with ${code}` : said);
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new VarveError(CODE, `there is no ${program}, which would make a raw disk of this one`, {
      cause: error,
      hint: "install it (Debian: qemu-utils), or take --format raw if the disk is raw and only begins like another kind",
    });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** The first name of a file that is not the image's own, however deep. What is said is as deep as qemu-img makes it: a few levels. */
function otherFile(said: unknown, path: string): string | undefined {
  if (typeof said !== "object" || said === null) return undefined;
  for (const [key, value] of Object.entries(said)) {
    if (typeof value === "string" && /(^|-)filename$|^data-file$/.test(key) && value !== path) return value;
    const inner = otherFile(value, path);
    if (inner !== undefined) return inner;
  }
  return undefined;
}
