/** Runs a program to its end and gives back what it said. */
import { spawn } from "node:child_process";

export interface RunOptions {
  /** For stdin, which is closed after it. */
  readonly input?: string | Uint8Array;
  /** Laid over this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** The program is killed after this many milliseconds, and the run fails. Default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Exit code; 128 + number for a signal, as shells have it. */
  readonly code: number;
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** @throws Error when the program cannot be started or takes too long; a non-zero exit is a result */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, cwd, timeoutMs = 60_000, signal } = options;
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(signal && { signal }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A program may well end before it has read its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, killedBy) => resolve(code ?? 128 + (SIGNALS[killedBy ?? ""] ?? 0)));
    });
    const result = { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString("utf8"), code };
    if (late) throw new Error(`${program} took more than ${timeoutMs} ms: ${result.stderr.slice(-2000)}`);
    return result;
  } finally {
    clearTimeout(timer);
  }
}

/** As {@link run}, but a non-zero exit is an error that shows what the program said. */
export async function runOk(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await run(program, args, options);
  if (result.code === 0) return result;
  const said = `${result.stderr}\n${result.stdout.toString("utf8", 0, 2000)}`;
  throw new Error(`${program} ${args.join(" ")} ended with ${result.code}: ${said.slice(-4000)}`);
}
