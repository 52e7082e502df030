/** The real process as a {@link Host}. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { decodeName } from "../sys/path-bytes.ts";
import type { Host, Input, Output, StopSignal } from "./host.ts";

const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

export function processHost(): Host {
  let endProcess: ((code: number) => void) | undefined;
  return {
    args: processArguments(),
    env: process.env,
    stdin: processInput(),
    stdout: streamOutput(() => process.stdout, { reports: true }),
    // When stderr fails, there is no place left to say so.
    stderr: streamOutput(() => process.stderr, { reports: false }),
    now: () => performance.now(),
    later(milliseconds, callback) {
      const timer = setTimeout(callback, milliseconds).unref();
      return () => clearTimeout(timer);
    },
    onCrash(listener) {
      process.on("uncaughtException", listener);
      return () => process.off("uncaughtException", listener);
    },
    onStop(listener) {
      for (const signal of STOP_SIGNALS) process.on(signal, listener);
      return () => {
        for (const signal of STOP_SIGNALS) process.off(signal, listener);
      };
    },
    onSuspend,
    isForeground,
    exit: (code) => process.exit(code),
    async prepareExitAtOnce() {
      ({ endProcess } = await import("../sys/end-process.ts"));
    },
    exitAtOnce(code) {
      endProcess?.(code);
      process.exit(code);
    },
  };
}

/** Node makes one character of all bytes that are no UTF-8; Linux has them as they were given, so that paths of such names are found. */
function processArguments(): string[] {
  const args = process.argv.slice(2);
  if (!args.some((arg) => arg.includes("\ufffd"))) return args;
  try {
    const given = readFileSync("/proc/self/cmdline").toString("latin1").split("\0").slice(0, -1);
    const exact = given.slice(-args.length).map((arg) => decodeName(Buffer.from(arg, "latin1")));
    return exact.length === args.length ? exact : args;
  } catch {
    return args;
  }
}

/** Of a pipe or a terminal whose reader went away, which is no failure of ours. */
const READER_GONE: ReadonlySet<string | undefined> = new Set(["EPIPE", "EIO", "ECONNRESET", "ERR_STREAM_DESTROYED"]);

/** The stream is opened on its first use. */
function streamOutput(open: () => NodeJS.WriteStream, { reports }: { readonly reports: boolean }): Output {
  let opened: NodeJS.WriteStream | undefined;
  let failure: NodeJS.ErrnoException | undefined;
  const stream = (): NodeJS.WriteStream => {
    opened ??= open().on("error", (error) => {
      failure = error;
    });
    return opened;
  };
  return {
    get isTerminal() {
      return stream().isTTY ?? false;
    },
    write: (chunk) =>
      new Promise((resolve, reject) => {
        const settle = (error: NodeJS.ErrnoException | null | undefined): void => {
          if (error && reports && !READER_GONE.has(error.code)) reject(error);
          else resolve();
        };
        if (failure === undefined) stream().write(chunk, settle);
        else settle(failure);
      }),
    size: () => ({ columns: stream().columns || 80, rows: stream().rows || 24 }),
    onResize(listener) {
      if (!stream().isTTY) return () => undefined;
      stream().on("resize", listener);
      return () => stream().off("resize", listener);
    },
  };
}

/** `process.stdin` is opened on its first use only: opening it costs time and changes the state of a terminal. */
function processInput(): Input {
  let chunks: AsyncIterator<Uint8Array> | undefined;
  const unread: Uint8Array[] = [];
  return {
    get isTerminal() {
      return process.stdin.isTTY ?? false;
    },
    setRaw(raw) {
      if (process.stdin.isTTY) process.stdin.setRawMode(raw);
    },
    async read(signal) {
      signal.throwIfAborted();
      const first = unread.shift();
      if (first !== undefined) return first;
      chunks ??= process.stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      const next = await unlessAborted(chunks.next(), signal);
      return next.done === true ? undefined : next.value;
    },
    unread: (bytes) => void unread.unshift(bytes),
  };
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Linux tells the terminal's foreground process group (proc_pid_stat(5): pgrp, tpgid; -1 without a terminal); others do not. */
function isForeground(): boolean {
  try {
    const stat = readFileSync("/proc/self/stat", "latin1");
    // The second field is the program's name in parentheses, which may hold anything.
    const [, , group, , , foreground] = stat
      .slice(stat.lastIndexOf(")") + 1)
      .trim()
      .split(" ");
    return foreground === "-1" || foreground === group;
  } catch {
    return true;
  }
}

/** Listening to SIGTSTP replaces the kernel's default, so the process stops itself once the terminal is in order. */
function onSuspend(listener: { before(): void; after(): void }): () => void {
  const stop = (): void => {
    listener.before();
    process.kill(process.pid, "SIGSTOP");
  };
  const goOn = (): void => listener.after();
  process.on("SIGTSTP", stop);
  process.on("SIGCONT", goOn);
  return () => {
    process.off("SIGTSTP", stop);
    process.off("SIGCONT", goOn);
  };
}
