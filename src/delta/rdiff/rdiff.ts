/**
 * `rdiff` on plain files (librsync §3): signatures, deltas from them, deltas of two files that are both here, and what deltas make. Nothing of
 * an output is at its path before it is whole.
 */
import { performance } from "node:perf_hooks";
import { readSignature } from "../../codec/librsync/read-signature.ts";
import { resolveHead, type SignatureOptions } from "../../codec/librsync/signature-sizes.ts";
import { writeSignature } from "../../codec/librsync/write-signature.ts";
import { toVarveError } from "../../errors/from-system.ts";
import type { ErrorCode } from "../../errors/table.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { FileMeter } from "./file-meter.ts";
import { openBase, openInput } from "./input.ts";
import { STANDARD_STREAM, type RdiffOptions } from "./options.ts";
import type { DeltaResult, PatchResult, SignatureResult } from "./results.ts";
import { processStreams } from "./standard-streams.ts";
import { writeOutput } from "./write-output.ts";

/**
 * Writes the signature of the file `basis` to `output`. Memory: some 30 MiB over the program's own.
 * @throws VarveError `USAGE`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `NO_SPACE`, `PERMISSION`, `IO`; the signal's reason
 */
export async function rdiffSignature(
  basis: string,
  output: string,
  options: RdiffOptions & Omit<SignatureOptions, "size"> = {},
): Promise<SignatureResult> {
  return coded(`making a signature of ${basis}`, options, async () => {
    const started = performance.now();
    await using input = await openInput(basis, options.streams ?? processStreams());
    const { size } = input;
    const head = resolveHead({ ...options, ...(size !== undefined && { size }) });
    const meter = new FileMeter(output, size, options);
    const bytes = await writeOutput(output, meter.written(writeSignature(meter.read(input.stream()), head)), options);
    const blocks = Math.ceil(meter.bytesRead / head.blockBytes);
    meter.finish();
    const durationMs = Math.round(performance.now() - started);
    return { action: "signature", basis, basisBytes: meter.bytesRead, output, bytes, blocks, ...head, durationMs };
  });
}

/**
 * Writes to `output` the delta that makes `target` of the file that `signature` is of. Memory: the signature, which may have 256 MiB, and half as
 * much again.
 * @throws VarveError `SIGNATURE_INVALID`, `SIGNATURE_LIMIT`, and as {@link rdiffSignature}
 */
export async function rdiffDelta(
  signature: string,
  target: string,
  output: string,
  options: RdiffOptions = {},
): Promise<DeltaResult> {
  if (signature === STANDARD_STREAM && target === STANDARD_STREAM) throw onlyOneStream();
  return coded(`making a delta to ${target}`, options, async () => {
    const started = performance.now();
    const streams = options.streams ?? processStreams();
    const { writeSignatureDelta } = await import("../../codec/librsync/write-signature-delta.ts");
    await using sums = await openInput(signature, streams);
    await using input = await openInput(target, streams);
    const meter = new FileMeter(output, input.size, options);
    let counts = NOTHING;
    const pieces = writeSignatureDelta(await readSignature(sums.stream()), meter.read(input.stream()), {
      ...options,
      onCounts: (given) => (counts = given),
    });
    const bytes = await writeOutput(output, meter.written(pieces), options);
    return deltaResult("delta", { target, output, bytes, counts, meter, started });
  });
}

/**
 * Writes to `output` the delta that makes `target` of the file `basis`, comparing the two themselves: smaller than from any signature. Memory: at
 * most 500 MB, whatever the sizes.
 * @throws VarveError as {@link rdiffSignature}; `SOURCE_CHANGED`
 */
export async function rdiffDiff(
  basis: string,
  target: string,
  output: string,
  options: RdiffOptions = {},
): Promise<DeltaResult> {
  return coded(`comparing ${basis} and ${target}`, options, async () => {
    const started = performance.now();
    const { writeDirectDelta } = await import("../../codec/librsync/direct/generate.ts");
    await using base = await openBase(basis);
    await using input = await openInput(target, options.streams ?? processStreams());
    const meter = new FileMeter(output, input.size === undefined ? undefined : base.size + input.size, options);
    let counts = NOTHING;
    const pieces = writeDirectDelta(base, meter.read(input.stream()), {
      ...(options.signal !== undefined && { signal: options.signal }),
      onIndexed: (bytes) => meter.prepared(bytes),
      onCounts: (given) => (counts = given),
    });
    const bytes = await writeOutput(output, meter.written(pieces), options);
    return deltaResult("diff", { target, output, bytes, counts, meter, started });
  });
}

/**
 * Writes to `output` what `delta` makes of the file `basis`. Memory: some 50 MiB over the program's own.
 * @throws VarveError `DELTA_INVALID`, `DELTA_BASE_DIFFERS`, and as {@link rdiffSignature}
 */
export async function rdiffPatch(
  basis: string,
  delta: string,
  output: string,
  options: RdiffOptions = {},
): Promise<PatchResult> {
  return coded(`patching ${basis}`, options, async () => {
    const started = performance.now();
    const { applyDelta } = await import("../../codec/librsync/patch.ts");
    await using base = await openBase(basis);
    await using input = await openInput(delta, options.streams ?? processStreams());
    const meter = new FileMeter(output, input.size, options);
    const made = applyDelta(base, meter.read(input.stream()), options);
    const bytes = await writeOutput(output, meter.written(made), options);
    meter.finish();
    const durationMs = Math.round(performance.now() - started);
    return { action: "patch", basis, delta, deltaBytes: meter.bytesRead, output, bytes, durationMs };
  });
}

interface Counts {
  readonly copies: number;
  readonly copied: number;
  readonly literals: number;
  readonly literal: number;
}

const NOTHING: Counts = { copies: 0, copied: 0, literals: 0, literal: 0 };

interface Made {
  readonly target: string;
  readonly output: string;
  readonly bytes: number;
  readonly counts: Counts;
  readonly meter: FileMeter;
  readonly started: number;
}

function deltaResult(action: DeltaResult["action"], made: Made): DeltaResult {
  const { target, output, bytes, counts, meter, started } = made;
  const { copies, copied: copiedBytes, literals, literal: literalBytes } = counts;
  meter.finish();
  const durationMs = Math.round(performance.now() - started);
  const commands = { copies, copiedBytes, literals, literalBytes };
  return { action, target, targetBytes: meter.bytesRead, output, bytes, ...commands, durationMs };
}

function onlyOneStream(): VarveError {
  return new VarveError("USAGE", "standard input can be one of them only");
}

async function coded<T>(doing: string, { signal }: RdiffOptions, work: () => Promise<T>): Promise<T> {
  try {
    signal?.throwIfAborted();
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    const { code, message, hint, cause, detail } = toVarveError(error, doing);
    throw new VarveError(code, message, { hint: HINTS[code] ?? hint, cause, detail });
  }
}

/** The usual hints name the store, which has no part in this. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  NO_SPACE: "free some space, or write it to another file system",
  STORE_READ_ONLY: "write it to a file system that can be written",
};
