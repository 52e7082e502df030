/** A librsync delta of a layer's tar into a file (formats "librsync" §2): by comparison with the base, or of nothing but the tar itself. */
import type { Base } from "../../codec/librsync/base.ts";
import { DeltaWriter } from "../../codec/librsync/delta-writer.ts";
import type { DirectDeltas } from "../../codec/librsync/direct/generate.ts";
import { Digester } from "../../oci/digest.ts";
import { releaseOwn } from "../../sys/release-buffer.ts";
import { FileOutput } from "./file-output.ts";
import { readThrough } from "./read-through.ts";
import type { CompareOptions, RawDelta } from "./threads.ts";

/** The longest literal whose length has four bytes: some readers know no wider one. */
const LONGEST_LITERAL = 2 ** 32 - 1;

/** @throws VarveError as target and base do; `NO_SPACE`, `IO`; the signal's reason */
export async function writeDelta(
  deltas: DirectDeltas,
  target: Base,
  output: number,
  { signal, onProgress }: CompareOptions,
): Promise<RawDelta> {
  const file = new FileOutput(output);
  let counts: DeltaWriter["counts"] | undefined;
  const onCounts = (given: DeltaWriter["counts"]): void => void (counts = given);
  const digester = new Digester();
  const pieces = deltas.to(counted(readThrough(target, { signal }), digester, onProgress), { signal, onCounts });
  for await (const piece of pieces) {
    file.write(piece);
    releaseOwn(piece);
  }
  return written(file.size, counts!, digester);
}

/** A delta without a copy, in as many pieces as the tar has: a few bytes more than it. @throws as the target; the signal's reason */
export async function* literalDelta(
  target: Base,
  { signal, onProgress }: CompareOptions,
): AsyncGenerator<Uint8Array, RawDelta, undefined> {
  const writer = new DeltaWriter();
  const digester = new Digester();
  let literals = 0;
  let announced = 0;
  for await (const piece of counted(readThrough(target, { signal }), digester, onProgress)) {
    for (let at = 0; at < piece.length;) {
      if (announced === 0) {
        const left = target.size - literals * LONGEST_LITERAL;
        writer.announce((announced = Math.min(LONGEST_LITERAL, left)));
        literals++;
      }
      const some = piece.subarray(at, at + announced);
      writer.announced(some);
      announced -= some.length;
      at += some.length;
    }
    yield* writer.take();
  }
  writer.end();
  yield* writer.take();
  return written(writer.size, writer.counts, digester);
}

/** Bytes of the literal delta of a tar. */
export function literalDeltaSize(tarBytes: number): number {
  let size = 5;
  for (let left = tarBytes; left > 0; left -= LONGEST_LITERAL) {
    const length = Math.min(left, LONGEST_LITERAL);
    size += length + (length <= 64 ? 1 : length < 2 ** 8 ? 2 : length < 2 ** 16 ? 3 : 5);
  }
  return size;
}

function written(
  size: number,
  { copies, copied, literals, literal }: DeltaWriter["counts"],
  digester: Digester,
): RawDelta {
  return { size, copies, copiedBytes: copied, literals, literalBytes: literal, diffId: digester.digest() };
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  digester: Digester,
  onProgress: (done: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    digester.update(piece);
    yield piece;
    onProgress(digester.size);
  }
}
