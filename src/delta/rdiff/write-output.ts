/** What `varve rdiff` writes: a file that is there when it is whole and not before, or standard output. */
import { realpath, stat } from "node:fs/promises";
import type { Stats } from "node:fs";
import { FreshFile } from "../../disk/fresh-file.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { processStreams } from "./standard-streams.ts";
import { STANDARD_STREAM, type RdiffOptions } from "./options.ts";

const MODE = 0o666;

/**
 * Writes all pieces, and gives their bytes.
 * @throws VarveError `FILE_EXISTS`, `PATH_INVALID` before anything is asked of the pieces; what they throw; NodeJS.ErrnoException
 */
export async function writeOutput(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  options: RdiffOptions,
): Promise<number> {
  if (path === STANDARD_STREAM) {
    const { write } = options.streams ?? processStreams();
    return writeAll(pieces, write, options.signal);
  }
  const { sync = true, signal } = options;
  const replaced = await placeOf(path, options);
  await using file = await FreshFile.create(replaced?.path ?? path, MODE, replaced?.stats);
  const giveUp = (): void => file.removeName();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    const bytes = await writeAll(pieces, (piece) => file.handle.writeFile(piece), signal);
    if (sync) await file.handle.sync();
    // Another program may have made it meanwhile.
    if (replaced === undefined) await placeOf(path, options);
    signal?.throwIfAborted();
    await file.publish(sync);
    return bytes;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}

async function writeAll(
  pieces: AsyncIterable<Uint8Array>,
  write: (piece: Uint8Array) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<number> {
  let bytes = 0;
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    await write(piece);
    bytes += piece.length;
  }
  return bytes;
}

/** What is there and may be replaced. Links are followed, as writing does. @throws VarveError `FILE_EXISTS`, `PATH_INVALID` */
async function placeOf(
  path: string,
  { force = false }: RdiffOptions,
): Promise<{ path: string; stats: Stats } | undefined> {
  const stats = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  if (!stats.isFile())
    throw new VarveError("PATH_INVALID", `${path} is there and no file`, { hint: "name a file, or -" });
  if (!force) throw new VarveError("FILE_EXISTS", `${path} is there already`);
  return { path: await realpath(path), stats };
}
