/**
 * Whether a copy has the bytes of its source. What was written is read from the disk and not from memory where the system lets go of it. What is
 * a hole in both files is the same; where a file does not tell its holes, all of it is read.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Extent } from "../sys/sparse.ts";
import { readFully, type CopyCalls } from "./copy-calls.ts";
import { changed, type CopySource } from "./copy-source.ts";
import { inLanes } from "./lanes.ts";
import { PIECE_BYTES, pieces, union } from "./pieces.ts";

export interface VerifyOptions {
  readonly calls: CopyCalls;
  readonly path: string;
  /** Where the copy says that it has data; undefined when it does not tell. */
  readonly extents: Iterable<Extent> | undefined;
  readonly signal: AbortSignal;
  readonly onPiece?: (bytes: number, data: number) => void;
}

/** @param copy its descriptor; synced @throws VarveError `COPY_DIFFERS`, `SOURCE_CHANGED`; NodeJS.ErrnoException */
export async function verifyCopy(source: CopySource, copy: number, options: VerifyOptions): Promise<void> {
  const { calls, path, extents, signal, onPiece } = options;
  const read = extents === undefined || !source.tellsHoles ? source.whole() : union(source.extents(), extents);
  const spare: Buffer[] = [];
  await calls.dropCached(copy);
  await inLanes(
    pieces(read, source.size),
    async ({ kind, offset, length }, buffer) => {
      if (kind === "data") {
        const other = spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
        if ((await readFully(calls, source.descriptor, buffer, length, offset)) < length) throw changed(source.path);
        const got = await readFully(calls, copy, other, length, offset);
        if (got < length || buffer.compare(other, 0, length, 0, length) !== 0) throw differs(source.path, path, offset);
        spare.push(other);
      }
      onPiece?.(length, kind === "data" ? length : 0);
    },
    signal,
  );
}

function differs(from: string, to: string, offset: number): VarveError {
  return new VarveError("COPY_DIFFERS", `${to} is not the same as ${from} within 1 MiB from byte ${offset} on`, {
    detail: { source: from, target: to, offset },
  });
}
