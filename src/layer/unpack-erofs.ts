/**
 * One layer's tar into a directory as it is, with an index that makes it mountable (erofs.md, "Own writer"): one pass over its bytes,
 * written, parsed and hashed; no file is made for any of its members.
 *
 *     layer.tar     the tar, byte for byte, with what follows the end of the archive
 *     index.erofs   the layer by itself, in overlay form: with whiteouts, directories without an entry as they are made
 *     extra         what the tar cannot serve in place: sparse files, files whose last block is not theirs. Rare
 *     layer.json    facts, written last
 */
import { join } from "node:path";
import { encodeErofs } from "../codec/erofs/writer.ts";
import type { TarLimits } from "../codec/tar/entry.ts";
import { TarParser } from "../codec/tar/parser.ts";
import { toVarveError } from "../errors/from-system.ts";
import { digestAlgorithm, Digester, type Digest, type DigestAlgorithm } from "../oci/digest.ts";
import { makeDirectory } from "../sys/make-directory.ts";
import { releaseOwn } from "../sys/release-buffer.ts";
import { checkDiffId } from "./apply-layer.ts";
import { deviceTag, FILES, indexUuid, writeFacts } from "./index-facts.ts";
import { type BuiltIndex, IndexBuilder } from "./index-builder.ts";
import { ExtraFile, NewFile, removeFile, StandingFile } from "./layer-files.ts";
import type { UnpackedLayer } from "./layer-target.ts";
import type { ApplyLimits } from "./limits.ts";
import { TarStream } from "./tar-stream.ts";

export interface UnpackErofsOptions {
  /** What the image's config says of the tar. Default: it is only told, not checked. */
  readonly diffId?: Digest;
  /** Of the DiffID that is told. Default: that of `diffId`, else sha256. */
  readonly algorithm?: DigestAlgorithm;
  /** The file that the tar is read from, where it is one: then it is not written. Default: it is written to `layer.tar`. */
  readonly from?: string;
  readonly limits?: ApplyLimits;
  readonly tarLimits?: TarLimits;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the tar have been unpacked, after each chunk. */
  readonly onBytes?: (done: number) => void;
}

/**
 * Unpacks an uncompressed tar into a directory, which is made if it is missing; files that a former try has left there are replaced.
 * Nothing is made durable: syncing the files and the directory is the caller's. A `TarStream` is not hashed again.
 * @throws LAYER_INVALID, LAYER_LIMIT, DIFFID_MISMATCH, NO_SPACE, PERMISSION, IO; the source's errors and the signal's reason as they
 * are. The directory then has no `layer.json`.
 */
export async function unpackErofs(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  options: UnpackErofsOptions = {},
): Promise<UnpackedLayer> {
  const { diffId: expected, from, limits, tarLimits, signal, onBytes } = options;
  signal?.throwIfAborted();
  await makeDirectory(directory, { mode: 0o755 }).catch((error: unknown) => {
    throw toVarveError(error, `cannot make ${directory}`);
  });
  removeFile(join(directory, FILES.facts));
  using file = from === undefined ? new NewFile(join(directory, FILES.tar)) : new StandingFile(from);
  using extra = new ExtraFile(join(directory, FILES.extra));
  const builder = new IndexBuilder({ extra, ...(limits !== undefined && { limits }) });
  const parser = new TarParser(builder, tarLimits);
  const digester = new Digester(options.algorithm ?? (expected === undefined ? "sha256" : digestAlgorithm(expected)));
  let size = 0;
  for await (const chunk of tar) {
    signal?.throwIfAborted();
    size += chunk.byteLength;
    if (!(tar instanceof TarStream)) digester.update(chunk);
    file.write(chunk);
    parser.write(chunk);
    onBytes?.(size);
  }
  parser.end();
  const diffId = tar instanceof TarStream ? tar.diffId : digester.digest();
  checkDiffId(diffId, expected);
  const built = builder.finish(size, deviceTag(diffId));
  extra.copy(file, built.copies);
  extra.finish(built.extraSize);
  file.finish();
  writeRest(directory, { diffId, size }, built);
  return { diffId, size, report: built.report, open: built.open };
}

function writeRest(
  directory: string,
  layer: { readonly diffId: Digest; readonly size: number },
  built: BuiltIndex,
): void {
  const { tree, report, open, extraSize } = built;
  const index = writeFile(join(directory, FILES.index), encodeErofs(tree, { uuid: indexUuid([layer.diffId]) }));
  const facts = writeFacts({ ...layer, entries: report.entries, extraSize, index, open, report });
  writeFile(join(directory, FILES.facts), [Buffer.from(facts)]);
}

function writeFile(path: string, chunks: Iterable<Uint8Array>): { size: number; digest: Digest } {
  const digester = new Digester("sha256");
  using file = new NewFile(path);
  let size = 0;
  for (const bytes of chunks) {
    size += bytes.byteLength;
    digester.update(bytes);
    file.write(bytes);
    releaseOwn(bytes);
  }
  file.finish();
  return { size, digest: digester.digest() };
}
