/** The librsync delta in a layer of a delta image: the first file of a tar, whatever its name, in any compression (formats "balena-delta" §2, §5). */
import { decompress } from "../../codec/decompress.ts";
import { TarParser } from "../../codec/tar/parser.ts";
import { toVarveError } from "../../errors/from-system.ts";
import type { ErrorCode } from "../../errors/table.ts";
import { VarveError } from "../../errors/varve-error.ts";

/** What is wrong with the wrapping is wrong with the delta. */
const OF_WRAPPING: ReadonlySet<ErrorCode> = new Set(["COMPRESSION_INVALID", "LAYER_INVALID", "LAYER_LIMIT"]);

/**
 * The delta's bytes, lent until the next are asked for. Only as much is read as is asked for.
 * @throws VarveError `DELTA_INVALID` when it is no tar, one without a file, or cut short; what the source throws
 */
export async function* librsyncOf(
  layer: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const wrapped = new Wrapped();
  const parser = new TarParser(wrapped, { entries: 16 });
  try {
    for await (const chunk of decompress(layer, { lend: true, ...(signal !== undefined && { signal }) })) {
      parser.write(chunk);
      yield* wrapped.take();
      if (wrapped.isWhole) return;
    }
    parser.end();
  } catch (thrown) {
    // What comes after it is nobody's.
    if (wrapped.isWhole) return yield* wrapped.take();
    const error = toVarveError(thrown, "reading a delta");
    if (!OF_WRAPPING.has(error.code)) throw thrown;
    throw new VarveError("DELTA_INVALID", `the delta is broken: ${error.message}`, { cause: error });
  }
  throw new VarveError("DELTA_INVALID", "the delta's tar has no file in it");
}

class Wrapped {
  isWhole = false;
  #isBegun = false;
  #pieces: Uint8Array[] = [];

  entry({ type }: { readonly type: string }): void {
    if (type === "file" && !this.isWhole) this.#isBegun = true;
  }

  data(bytes: Uint8Array): void {
    if (this.#isBegun && !this.isWhole) this.#pieces.push(bytes);
  }

  endEntry(): void {
    if (this.#isBegun) this.isWhole = true;
  }

  take(): Uint8Array[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }
}
