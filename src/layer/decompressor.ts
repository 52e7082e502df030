/**
 * Which decoder inflates a layer's gzip. Ours runs beside the thread that unpacks and loses little to programs that are made for speed,
 * once their pipes are paid for (bench "decompress"); so `auto` takes one only when it is clearly faster on this machine with this
 * data, which is measured once, at the beginning of the first layer that is large enough to be worth it.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { decompress } from "../codec/decompress.ts";
import type { Decompressor } from "../codec/decompressors.ts";
import { gunzipWith, type GunzipProgram } from "../codec/gunzip-program.ts";
import { VarveError } from "../errors/varve-error.ts";

const PROGRAMS = {
  rapidgzip: ["-d", "-c", "-q"],
  igzip: ["-d", "-c", "-q"],
  pigz: ["-d", "-c", "-q"],
} as const satisfies Record<string, readonly string[]>;

type ProgramName = keyof typeof PROGRAMS;

/** Compressed bytes below which starting a program costs more than it can win. */
const LARGE_BYTES = 16 << 20;
/** And those that are worth a measurement. */
const MEASURED_BYTES = 64 << 20;
const SAMPLE_BYTES = 4 << 20;
/** It has to be faster by this much: a process more also takes from what other layers could use. */
const CLEARLY = 0.7;

type Gunzip = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** Of this thread: what `auto` came to. */
let measured: { readonly program: GunzipProgram | undefined } | undefined;

/**
 * @param size compressed bytes of the layer
 * @returns undefined when the decoder that is built in does it
 * @throws FILE_NOT_FOUND when the program is not there
 */
export function chooseGunzip(
  decompressor: Decompressor,
  size: number,
  { signal, env = process.env }: { readonly signal: AbortSignal; readonly env?: NodeJS.ProcessEnv },
): Gunzip | undefined {
  if (decompressor === "builtin") return undefined;
  if (decompressor !== "auto") {
    const program = findProgram(decompressor, env);
    if (program === undefined) {
      throw new VarveError("FILE_NOT_FOUND", `${decompressor} is not on the PATH`, {
        hint: "install it, or leave the choice to --decompressor auto",
      });
    }
    return size < LARGE_BYTES ? undefined : (source) => gunzipWith(program, source, signal);
  }
  if (size < (measured === undefined ? MEASURED_BYTES : LARGE_BYTES)) return undefined;
  if (measured !== undefined) {
    const { program } = measured;
    return program === undefined ? undefined : (source) => gunzipWith(program, source, signal);
  }
  const found = (Object.keys(PROGRAMS) as ProgramName[]).flatMap((name) => findProgram(name, env) ?? []);
  return found.length === 0 ? undefined : (source) => gunzipByMeasure(source, found, signal);
}

function findProgram(name: ProgramName, env: NodeJS.ProcessEnv): GunzipProgram | undefined {
  for (const directory of (env["PATH"] ?? "").split(delimiter)) {
    if (directory === "") continue;
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return { path, args: PROGRAMS[name] };
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Holds the beginning back until it is known who is faster at it. */
async function* gunzipByMeasure(
  source: AsyncIterable<Uint8Array>,
  programs: readonly GunzipProgram[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const sample: Uint8Array[] = [];
  for (let bytes = 0; bytes < SAMPLE_BYTES;) {
    const next = await iterator.next();
    if (next.done === true) break;
    // It is only lent.
    sample.push(Buffer.from(next.value));
    bytes += next.value.length;
  }
  const program = await fastest(sample, programs, signal);
  measured ??= { program };
  const whole = {
    async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
      yield* sample.splice(0);
      yield* { [Symbol.asyncIterator]: () => iterator };
    },
  };
  yield* program === undefined ? decompress(whole, { signal, lend: true }) : gunzipWith(program, whole, signal);
}

/** @returns the program that is clearly faster than the decoder that is built in, if any */
async function fastest(
  sample: readonly Uint8Array[],
  programs: readonly GunzipProgram[],
  signal: AbortSignal,
): Promise<GunzipProgram | undefined> {
  const own = async (): Promise<number> => timeOf(decompress(each(sample), { signal, lend: true }));
  // Twice, for the first time also pays for loading the code.
  let best = CLEARLY * Math.min(await own(), await own());
  let winner: GunzipProgram | undefined;
  for (const program of programs) {
    const time = await timeOf(gunzipWith(program, each(sample), signal));
    if (time >= best) continue;
    best = time;
    winner = program;
  }
  return winner;
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

/** Milliseconds until nothing more comes: a sample is cut short, so all of them end in an error. */
async function timeOf(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const start = performance.now();
  let bytes = 0;
  try {
    for await (const piece of pieces) bytes += piece.length;
  } catch {
    // As it should be.
  }
  return bytes === 0 ? Infinity : performance.now() - start;
}
