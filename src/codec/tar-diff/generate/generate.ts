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
import { filesOf, type TarFile } from "./tar-files.ts";

export interface GenerateOptions {
  /** Whether files that not everybody may read are copied from, too: only for who applies deltas to the tar itself, or as root. Default false. */
  readonly anyMode?: boolean;
  /** Bytes for comparing files; files of more than some two ninths of it are compared by their parts. Default 224 MiB, at least 1 MiB. */
  readonly memory?: number;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the new tar are done. */
  readonly onProgress?: (bytes: number) => void;
  /** Told when all is done what was written. */
  readonly onCounts?: (counts: Readonly<TarDiffCounts>) => void;
}

const READ_BYTES = 1 << 20;

/**
 * The delta, in pieces that are the caller's.
 * @throws VarveError `LAYER_INVALID`, `LAYER_LIMIT` for what is no tar; what the tars throw; the signal's reason
 */
export async function* generateTarDiff(
  base: Base,
  target: Base,
  options: GenerateOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* compressOps(writeOps(base, target, options));
}

async function* writeOps(
  base: Base,
  target: Base,
  { anyMode = false, memory = DEFAULT_MEMORY, signal, onProgress = () => undefined, onCounts }: GenerateOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chooser = new SourceChooser(base, await filesOf(base, anyMode, signal));
  const writer = new TarDiffWriter();
  const differ = new FileDiffer(memory);
  let position = 0;
  for (const file of await filesOf(target, true, signal)) {
    yield* writeData(target, position, file.start, writer, signal);
    yield* writeFile(file);
    position = file.start + file.size;
    onProgress(position);
  }
  yield* writeData(target, position, target.size, writer, signal);
  writer.end();
  yield* writer.take();
  onProgress(target.size);
  onCounts?.(writer.counts);

  async function* writeFile(file: TarFile): AsyncGenerator<Uint8Array, void, undefined> {
    const source = await chooser.choose(target, file, signal);
    if (source === undefined) return yield* writeData(target, file.start, file.start + file.size, writer, signal);
    if (!source.isEqual) return yield* differ.write({ base, old: source.file, target, fresh: file }, writer, signal);
    writer.open(source.file.path);
    writer.copy(0, file.size);
  }
}

async function* writeData(
  target: Base,
  from: number,
  to: number,
  writer: TarDiffWriter,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = from; at < to;) {
    signal?.throwIfAborted();
    const some = new Uint8Array(Math.min(READ_BYTES, to - at));
    await target.read(some, at);
    writer.data(some);
    yield* writer.take();
    at += some.length;
  }
}
