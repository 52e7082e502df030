/**
 * gzip inflated by another program (igzip, pigz, rapidgzip), fed and read through pipes. Such programs are laxer than we are: they pass
 * over what follows the last member. So theirs counts only when the last member's length (RFC 1952 ISIZE) is that of all that
 * came out; else nothing is said against the data, and the caller tries again with the decoder that is built in.
 */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { VarveError } from "../errors/varve-error.ts";

/** Of what a program says on stderr. */
const MOST_TEXT = 2000;

export interface GunzipProgram {
  readonly path: string;
  readonly args: readonly string[];
}

/**
 * The uncompressed bytes, in pieces that belong to whoever takes them. Chunks of the source are read until the next is asked for.
 * The program ends with the iteration.
 * @throws DECOMPRESSOR_FAILED when it cannot be run, fails, or may have left something out; the source's own errors and the
 * signal's reason as they are
 */
export async function* gunzipWith(
  program: GunzipProgram,
  source: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted();
  const child = spawn(program.path, program.args, { stdio: ["pipe", "pipe", "pipe"] });
  const ending = endOf(child);
  ending.catch(() => undefined);
  // Whatever ends the feeding ends the program, and with it the reading.
  const feeding = feed(child, source, signal).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  feeding.catch(() => undefined);
  const stop = (): boolean => child.kill("SIGKILL");
  signal?.addEventListener("abort", stop, { once: true });
  try {
    let size = 0;
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      size += piece.length;
      yield piece;
    }
    const last = await feeding;
    signal?.throwIfAborted();
    const said = await ending;
    if (said !== "") throw failed(program, said);
    if (last !== size % 2 ** 32) throw failed(program, "several members, or something after the last one");
  } finally {
    signal?.removeEventListener("abort", stop);
    child.kill("SIGKILL");
  }
}

/** @returns the last four bytes as a number: ISIZE of the last member, if the data ends with it */
async function feed(
  { stdin }: ChildProcessWithoutNullStreams,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> {
  // Who reads no further has failed or had enough; its exit code tells.
  let open = true;
  stdin.on("error", () => (open = false));
  let tail = Buffer.alloc(0);
  for await (const chunk of source) {
    signal?.throwIfAborted();
    if (!open) return -1;
    tail = Buffer.concat([tail, chunk.subarray(-4)]).subarray(-4);
    // The chunk is lent, so it has to be gone before the next one comes.
    await new Promise<void>((resolve) => stdin.write(chunk, () => resolve()));
  }
  stdin.end();
  return tail.length < 4 ? -1 : tail.readUInt32LE();
}

/** @returns what went wrong, as far as the program says; nothing when nothing did */
async function endOf(child: ChildProcessWithoutNullStreams): Promise<string> {
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (more: string) => {
    if (text.length < MOST_TEXT) text += more;
  });
  try {
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    if (code === 0 && text === "") return "";
    return text.trim() || (signal === null ? `it ended with status ${code}` : `it was ended by ${signal}`);
  } catch (error) {
    return `it cannot be run: ${(error as Error).message}`;
  }
}

function failed({ path }: GunzipProgram, what: string): VarveError {
  return new VarveError("DECOMPRESSOR_FAILED", `${path}: ${what.slice(0, MOST_TEXT)}`);
}
