/** What `varve rdiff` reads: files, or standard input as a stream of a size that nobody knows. */
import { open } from "node:fs/promises";
import { fileBase, type Base } from "../../codec/librsync/base.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { STANDARD_STREAM, type StandardStreams } from "./options.ts";

const READ_BYTES = 1 << 20;

export interface Input extends AsyncDisposable {
  /** Bytes, where that is known before the end. */
  readonly size: number | undefined;
  /** From the first byte on, once. Pieces are lent until the next is asked for. */
  stream(): AsyncIterable<Uint8Array>;
}

/** A base is read in any order, so it is a file, or a device that has a size. */
export interface BaseInput extends Base, AsyncDisposable {}

/** @throws VarveError `PATH_INVALID`; NodeJS.ErrnoException */
export async function openInput(path: string, streams: StandardStreams): Promise<Input> {
  if (path === STANDARD_STREAM) {
    return { size: undefined, stream: () => streams.input, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  await using stack = new AsyncDisposableStack();
  const handle = stack.use(await open(path, "r"));
  const stats = await handle.stat();
  if (stats.isDirectory()) throw new VarveError("PATH_INVALID", `${path} is a directory`);
  const owned = stack.move();
  return {
    size: stats.isFile() ? stats.size : undefined,
    async *stream() {
      const buffer = new Uint8Array(READ_BYTES);
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, READ_BYTES);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** @throws VarveError `PATH_INVALID`; NodeJS.ErrnoException */
export async function openBase(path: string): Promise<BaseInput> {
  await using stack = new AsyncDisposableStack();
  const handle = stack.use(await open(path, "r"));
  const stats = await handle.stat();
  if (!stats.isFile()) {
    throw new VarveError("PATH_INVALID", `${path} is no file`, { hint: "the basis is read in any order: name a file" });
  }
  const owned = stack.move();
  return { ...fileBase(handle, stats.size, path), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
