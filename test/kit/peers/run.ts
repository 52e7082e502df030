/** Runs programs: to their end, or step by step where a test has to kill one at the right moment. */
import { spawn, type ChildProcess } from "node:child_process";
import { constants } from "node:os";

export interface RunOptions {
  /** For stdin, which is closed after it. */
  readonly input?: string | Uint8Array;
  /** Laid over this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** The program is killed after this many milliseconds, and the run fails. Default 60,000; Infinity for servers. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Exit code; 128 + number for a signal, as shells have it. */
  readonly code: number;
}

/** A program that runs. When it is disposed of before its end it is killed. */
export interface RunningProgram extends AsyncDisposable {
  readonly pid: number;
  /** Settles when the program ended and all its output was read. */
  readonly result: Promise<RunResult>;
  kill(signal?: NodeJS.Signals): void;
  /** All that it wrote to stdout and stderr so far, in order of arrival. */
  readonly said: () => string;
  /** Resolves as soon as what it {@link said} matches; rejects when it ends before. */
  output(pattern: RegExp): Promise<void>;
}

/** @throws Error when the program cannot be started or takes too long; a non-zero exit is a result */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return start(program, args, options).result;
}

/** As {@link run}, but a non-zero exit is an error that shows what the program said. */
export async function runOk(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await run(program, args, options);
  if (result.code === 0) return result;
  const said = `${result.stderr}\n${result.stdout.toString("utf8", 0, 2000)}`;
  throw new Error(`${program} ${args.join(" ")} ended with ${result.code}: ${said.slice(-4000)}`);
}

/** Programs that still run when this process ends, whatever the reason, end with it. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function start(program: string, args: readonly string[], options: RunOptions = {}): RunningProgram {
  const { input, cwd, timeoutMs = 60_000 } = options;
  const child = spawn(program, args, { cwd, env: { ...process.env, ...options.env }, stdio: "pipe" });
  running.add(child);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const both: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => both.push(chunk) && stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => both.push(chunk) && stderr.push(chunk));
  // A program may well end before it has read its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const said = () => Buffer.concat(both).toString("utf8");

  let late = false;
  const kill = () => {
    late = true;
    child.kill("SIGKILL");
  };
  const timer = timeoutMs === Infinity ? undefined : setTimeout(kill, timeoutMs);
  const result = new Promise<RunResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (late) reject(new Error(`${program} took more than ${timeoutMs} ms: ${said().slice(-2000)}`));
      const number = signal === null ? 0 : constants.signals[signal];
      const text = Buffer.concat(stderr).toString("utf8");
      resolve({ stdout: Buffer.concat(stdout), stderr: text, code: code ?? 128 + number });
    });
  });
  const settled = () => {
    clearTimeout(timer);
    running.delete(child);
  };
  result.then(settled, settled);

  const output = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (said().search(pattern) >= 0) resolve();
      };
      look();
      child.stdout.on("data", look);
      child.stderr.on("data", look);
      const never = () => reject(new Error(`${program} ended without saying ${pattern}: ${said().slice(-2000)}`));
      result.then(never, reject);
    });

  return {
    pid: child.pid ?? 0,
    result,
    kill: (signal = "SIGTERM") => void child.kill(signal),
    said,
    output,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await result.catch(() => undefined);
    },
  };
}
