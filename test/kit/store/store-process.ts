/** Starts {@link file://./store-child.ts} and follows what it says. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("store-child.ts", import.meta.url));

export interface StoreJob {
  readonly root: string;
  readonly act: "open" | "list" | "ingest" | "hold" | "discard" | "put" | "churn" | "collect" | "disk" | "discard-disk";
  readonly size?: number;
  readonly seed?: number;
  /** Of `churn` and `collect`. */
  readonly rounds?: number;
  /** A step of a commit, a discard or a collection, at which the process kills itself; of several the `nth`. */
  readonly dieAt?: string;
  /** Default 1. */
  readonly nth?: number;
  /** Where an ingest, or of a disk the second of its two contents, stops, and the process stays as it is. */
  readonly writeUpTo?: number;
  readonly name?: string;
}

export interface StoreProcess extends AsyncDisposable {
  /** Settles when the process says `word`; rejects when it ends without. */
  said(word: string): Promise<void>;
  /** Settles when the process has ended, with all that it said. */
  ended(): Promise<{ words: string[]; code: number | null; signal: NodeJS.Signals | null }>;
  kill(): Promise<void>;
}

export interface StoreProcessOptions {
  /** Runs as this user instead of as this process's; only root can. */
  readonly uid?: number;
}

/** Runs one to its end while this process stands still. */
export function runStoreProcess(job: StoreJob): void {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, JSON.stringify(job)]);
  if (status !== 0) throw new Error(`the store process failed: ${stderr.toString()}`);
}

export function startStoreProcess(job: StoreJob, options: StoreProcessOptions = {}): StoreProcess {
  return startProgram(PROGRAM, job, options);
}

/** @param program a file whose only argument is the job as JSON */
export function startProgram(program: string, job: object, options: StoreProcessOptions = {}): StoreProcess {
  const child = spawn(process.execPath, [program, JSON.stringify(job)], {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const words: string[] = [];
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => words.push(line));
  const exit = Promise.all([once(child, "exit"), once(lines, "close")]);
  const ended: StoreProcess["ended"] = async () => {
    const [[code, signal]] = (await exit) as [[number | null, NodeJS.Signals | null], unknown];
    if (code !== 0 && signal === null) throw new Error(`the store process failed: ${complaints}`);
    return { words, code, signal };
  };
  return {
    ended,
    async said(word) {
      while (!words.includes(word)) {
        const line = await Promise.race([once(lines, "line"), exit]);
        if (line.length === 2 && !words.includes(word))
          throw new Error(`it ended without saying ${word}: ${complaints}`);
      }
    },
    async kill() {
      child.kill("SIGKILL");
      await exit;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exit;
    },
  };
}
