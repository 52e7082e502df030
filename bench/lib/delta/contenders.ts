/** Who makes deltas of one tar from another, and how it is told to. Compressors that know nothing of the base stand beside them. */
import { join } from "node:path";
import { VARVE_BIN } from "../../../test/kit/peers/varve.ts";
import type { Pair } from "../debian-pair.ts";
import { PER_FILE, type FilePairs } from "./file-pairs.ts";
import { TAR_DIFF } from "./tar-diff-main.ts";

/** A program with its arguments. */
export type Step = readonly string[];

export interface Contender {
  readonly name: string;
  /** The program that it needs beside varve. */
  readonly needs?: string;
  readonly create: readonly Step[];
  /** Makes the target again. */
  readonly apply: readonly Step[];
  /** What `create` writes: a file, or a directory of files that count together. */
  readonly delta: string;
  /** Whether what travels is the delta through `gzip -6`, as in balena's images. */
  readonly gzips: boolean;
  /** So slow that one round has to do. */
  readonly isSlow: boolean;
  /** What it makes again, where that is the target's tar as it was. */
  readonly made?: string | undefined;
}

export const BALENA = "rdiff, 512";
export const LIBRSYNC = "varve librsync";
export const TAR_DIFFS = "varve tar-diff";
export const BSDIFF_FILES = "bsdiff per file";

const bash = (script: string, ...args: string[]): Step => ["bash", "-c", script, "bash", ...args];

/** @param dir for deltas and for what is made of them */
export function contenders({ base, target }: Pair, files: FilePairs, dir: string, bytes: number): Contender[] {
  const made = join(dir, "made");
  const sums = join(dir, "sums");
  const at = (name: string): string => join(dir, `${name.replaceAll(/[^a-z0-9]+/g, "-")}.delta`);
  const of = (
    name: string,
    steps: (delta: string) => Pick<Contender, "create" | "apply"> & Partial<Contender>,
  ): Contender => {
    const delta = at(name);
    return { name, delta, gzips: false, isSlow: false, made, ...steps(delta) };
  };
  const varve = (...args: string[]): Step => {
    return [process.execPath, VARVE_BIN, "rdiff", ...args, "-q", "--force", "--progress", "none"];
  };
  const rdiff = (...args: string[]): Step => ["rdiff", "-f", ...args];
  const zstd = (...args: string[]): Step => ["zstd", "-q", "-f", ...args];
  // A window over both, so that everything in the base is in reach.
  const window = `--long=${Math.min(31, Math.max(27, Math.ceil(Math.log2(bytes * 2))))}`;
  const whole = ["-f", "-B", String(2 ** Math.ceil(Math.log2(bytes)))];
  const compressor = (name: string, ...program: string[]): Contender =>
    of(name, (delta) => ({
      needs: program[0]!,
      create: [bash('"${@:3}" -c "$1" > "$2"', target, delta, ...program)],
      apply: [bash('"${@:3}" -d -c "$1" > "$2"', delta, made, program[0]!)],
    }));
  const patchFrom = (level: string, isSlow: boolean): Contender =>
    of(`zstd --patch-from ${level}`, (delta) => ({
      needs: "zstd",
      isSlow,
      create: [zstd(level, window, `--patch-from=${base}`, target, "-o", delta)],
      apply: [zstd("-d", window, `--patch-from=${base}`, delta, "-o", made)],
    }));
  return [
    of(LIBRSYNC, (delta) => ({
      gzips: true,
      create: [varve("diff", base, target, delta)],
      apply: [varve("patch", base, delta, made)],
    })),
    of(TAR_DIFFS, (delta) => ({
      create: [[process.execPath, TAR_DIFF, "create", base, target, delta]],
      apply: [[process.execPath, TAR_DIFF, "apply", base, delta, made]],
    })),
    of(BALENA, (delta) => ({
      needs: "rdiff",
      gzips: true,
      create: [rdiff("-R", "rollsum", "-b", "512", "signature", base, sums), rdiff("delta", sums, target, delta)],
      apply: [rdiff("patch", base, delta, made)],
    })),
    of("rdiff, default", (delta) => ({
      needs: "rdiff",
      gzips: true,
      create: [rdiff("signature", base, sums), rdiff("delta", sums, target, delta)],
      apply: [rdiff("patch", base, delta, made)],
    })),
    of("xdelta3 -9 -S lzma", (delta) => ({
      needs: "xdelta3",
      create: [["xdelta3", "-e", "-9", "-S", "lzma", ...whole, "-s", base, target, delta]],
      apply: [["xdelta3", "-d", ...whole, "-s", base, delta, made]],
    })),
    patchFrom("-3", false),
    patchFrom("-19", true),
    of("bsdiff, whole", (delta) => ({
      needs: "bsdiff",
      isSlow: true,
      create: [["bsdiff", base, target, delta]],
      apply: [["bspatch", base, made, delta]],
    })),
    of(BSDIFF_FILES, (delta) => ({
      needs: "bsdiff",
      isSlow: true,
      create: [bash(PER_FILE.create, files.changed, files.fresh, delta)],
      apply: [bash(PER_FILE.apply, files.changed, delta, join(dir, "made-files"))],
      made: undefined,
    })),
    compressor("gzip -6", "gzip", "-6"),
    compressor("zstd -3", "zstd", "-3"),
  ];
}
