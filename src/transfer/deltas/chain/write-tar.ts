/** A tar that a recipe tells, whole, into a file that nobody else can see. */
import { VarveError } from "../../../errors/varve-error.ts";
import { digestAlgorithm, Digester } from "../../../oci/digest.ts";
import { LocalFiles } from "../../../recipe/local-files.ts";
import type { Recipe, Segment } from "../../../recipe/segment.ts";
import { UnnamedFile } from "../../commit/unnamed-file.ts";
import { ensureWorkingRoom } from "../../working-room.ts";

const READ_BYTES = 1 << 20;

export interface WriteTarOptions {
  /** On the file system that has the room. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/**
 * @param recipe of bytes that are here, or come with it
 * @throws VarveError `DIFFID_MISMATCH`, `DELTA_INVALID` when it makes more than it should; `NO_SPACE`, `IO`; what tells the recipe throws
 */
export async function writeTar(
  { target, segments }: Recipe,
  { directory, signal }: WriteTarOptions,
): Promise<UnnamedFile> {
  await ensureWorkingRoom(
    directory,
    target.size,
    `the tar of layer ${target.digest}, which a delta makes to copy from it,`,
  );
  await using opened = new AsyncDisposableStack();
  const file = opened.use(await UnnamedFile.create(directory));
  const files = new LocalFiles();
  const digester = new Digester(digestAlgorithm(target.digest));
  try {
    for await (const segment of segments) {
      for await (const bytes of bytesOf(segment, files)) {
        signal.throwIfAborted();
        if (file.size + bytes.length > target.size) {
          throw new VarveError("DELTA_INVALID", `the delta makes more than the ${target.size} bytes that it should`);
        }
        digester.update(bytes);
        await file.append(bytes);
      }
    }
  } finally {
    await files[Symbol.asyncDispose]();
  }
  const computed = digester.digest();
  if (computed !== target.digest) {
    throw new VarveError("DIFFID_MISMATCH", `the delta of layer ${target.digest} makes ${computed}`, {
      detail: { expected: target.digest, computed },
    });
  }
  opened.move();
  return file;
}

/** Lent until the next are asked for. */
async function* bytesOf(segment: Segment, files: LocalFiles): AsyncGenerator<Uint8Array, void, undefined> {
  if (segment.kind === "data") return yield segment.bytes;
  if (segment.kind !== "local") throw new VarveError("INTERNAL", `a delta tells no ${segment.kind}`);
  const { start, length } = segment;
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length));
  for (let at = 0; at < length; at += buffer.length) {
    const some = buffer.subarray(0, Math.min(buffer.length, length - at));
    await files.readInto(some, segment, start + at);
    yield some;
  }
}
