/**
 * Makes a tar-diff of two tars that are both here (formats "tar-diff" §1): each file of the new one is told by what one file of the old one has, headers
 * and what is new as they are. By default upstream's programs can apply it to an unpacked tree: it reads nothing that not everybody may read, and no
 * path that comes twice. Equal tars give equal deltas.
 */
import type { Base } from "../../librsync/base.ts";
import { TarDiffWriter, type TarDiffCounts } from "../op-writer.ts";
import { SourceChooser } from "./choose-source.ts";
import { compressOps } from "./compress-ops.ts";
import { FileDiffer } from "./file-differ.ts";
import { DEFAULT_MEMORY } from "./match-memory.ts";
import { ReadAhead } from "./read-ahead.ts";
import { filesOf, type TarFile } from "./tar-files.ts";

/** So much is compressed well in any case. */
const FEW_BYTES = 16 << 20;

export interface GenerateOptions {
  /** Whether files that not everybody may read are copied from, too: only for who applies deltas to the tar itself, or as root. Default false. */
  readonly anyMode?: boolean;
  /** Bytes for comparing files; files of more than some two ninths of it are compared by their parts. Default 200 MiB, at least 1 MiB. */
  readonly memory?: number;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the new tar are done. */
  readonly onProgress?: (bytes: number) => void;
  /** Told when all is done what was written. */
  readonly onCounts?: (counts: Readonly<TarDiffCounts>) => void;
}

/**
 * The delta, in pieces that are the caller's.
 * @throws VarveError `LAYER_INVALID`, `LAYER_LIMIT` for what is no tar; what the tars throw; the signal's reason
 */
export async function* generateTarDiff(
  base: Base,
  target: Base,
  options: GenerateOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { anyMode = false, signal } = options;
  const [old, fresh] = [new ReadAhead(base), new ReadAhead(target)];
  const chooser = new SourceChooser(old, await filesOf(base, anyMode, signal));
  const files = await filesOf(target, true, signal);
  const newBytes = files.reduce((sum, file) => (chooser.mayHave(file) ? sum : sum + file.size), 0);
  const isMostlyNew = newBytes > Math.max(target.size / 4, FEW_BYTES);
  yield* compressOps(writeOps({ old, fresh, chooser, files }, options), { size: target.size, isMostlyNew });
}

interface Work {
  readonly old: ReadAhead;
  readonly fresh: ReadAhead;
  readonly chooser: SourceChooser;
  /** Of the new tar. */
  readonly files: readonly TarFile[];
}

async function* writeOps(
  { old, fresh, chooser, files }: Work,
  { memory = DEFAULT_MEMORY, signal, onProgress = () => undefined, onCounts }: GenerateOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new TarDiffWriter();
  let differ: FileDiffer | undefined;
  const { size } = fresh.tar;
  let position = 0;
  for (const file of files) {
    yield* writeData(fresh, position, file.start, writer, signal);
    yield* writeFile(file);
    position = file.start + file.size;
    onProgress(position);
  }
  yield* writeData(fresh, position, size, writer, signal);
  writer.end();
  yield* writer.take();
  onProgress(size);
  onCounts?.(writer.counts);

  async function* writeFile(file: TarFile): AsyncGenerator<Uint8Array, void, undefined> {
    const source = await chooser.choose(fresh, file, signal);
    if (source === undefined) return yield* writeData(fresh, file.start, file.start + file.size, writer, signal);
    if (!source.isEqual) {
      // Its memory is not made for tars whose files are all as they were.
      differ ??= new FileDiffer(memory);
      return yield* differ.write({ base: old, old: source.file, target: fresh, fresh: file }, writer, signal);
    }
    writer.open(source.file.path);
    writer.copy(0, file.size);
  }
}

async function* writeData(
  target: ReadAhead,
  from: number,
  to: number,
  writer: TarDiffWriter,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = from; at < to;) {
    signal?.throwIfAborted();
    const some = await target.next(at, to - at);
    writer.data(some);
    yield* writer.take();
    at += some.length;
  }
}
