/** A {@link Host} for tests: a process whose streams, clock, signals and keys are played by the test. */
import { Screen, type ResizeStyle } from "../../test/kit/terminal/screen.ts";
import type { Host, Input, Output, StopSignal } from "./host.ts";

export interface FakeHostOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** stderr is a terminal of this size. */
  readonly terminal?: { readonly columns: number; readonly rows: number };
  readonly stdoutIsTerminal?: boolean;
  /** What writing to stdout fails with. */
  readonly stdoutFailure?: Error;
  /** What comes from stdin, chunk by chunk. */
  readonly input?: readonly string[];
  readonly inputIsTerminal?: boolean;
}

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeHost implements Host {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly screen: Screen;
  readonly rawModes: boolean[] = [];
  exitCode: number | undefined;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Input;
  readonly #out: Uint8Array[] = [];
  #err = "";
  #now = 1000;
  #timers = new Set<Timer>();
  #resizeListeners = new Set<() => void>();
  #stopListeners = new Set<(signal: StopSignal) => void>();
  #crashListeners = new Set<(error: unknown) => void>();
  #suspendListeners = new Set<{ before(): void; after(): void }>();

  constructor(options: FakeHostOptions = {}) {
    this.args = options.args ?? [];
    this.env = { HOME: "/home/nobody", ...options.env };
    this.screen = new Screen(options.terminal?.columns, options.terminal?.rows);
    this.stdin = fakeInput(options, this.rawModes);
    this.stdout = this.#output(options.stdoutIsTerminal === true, (chunk) => {
      if (options.stdoutFailure !== undefined) throw options.stdoutFailure;
      this.#out.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
    });
    this.stderr = this.#output(options.terminal !== undefined, (chunk) => {
      const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      this.#err += text;
      // The line discipline of a terminal adds carriage returns.
      if (options.terminal !== undefined) this.screen.write(text.replace(/(?<!\r)\n/g, "\r\n"));
    });
  }

  get out(): string {
    return Buffer.concat(this.#out).toString();
  }

  get outBytes(): Uint8Array {
    return Buffer.concat(this.#out);
  }

  get err(): string {
    return this.#err;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  later(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.#now + milliseconds, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass, and with it the timers. */
  pass(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
  }

  resize(columns: number, rows: number, style: ResizeStyle): void {
    this.screen.resize(columns, rows, style);
    for (const listener of this.#resizeListeners) listener();
  }

  signal(signal: StopSignal = "SIGINT"): void {
    for (const listener of this.#stopListeners) listener(signal);
  }

  crash(error: unknown): void {
    for (const listener of this.#crashListeners) listener(error);
  }

  suspend(): void {
    for (const listener of this.#suspendListeners) listener.before();
  }

  goOn(): void {
    for (const listener of this.#suspendListeners) listener.after();
  }

  /** Listeners that a run has left behind. */
  get listeners(): number {
    const sets = [this.#resizeListeners, this.#stopListeners, this.#crashListeners, this.#suspendListeners];
    return sets.reduce((sum, set) => sum + set.size, 0);
  }

  onCrash(listener: (error: unknown) => void): () => void {
    return subscribe(this.#crashListeners, listener);
  }

  onStop(listener: (signal: StopSignal) => void): () => void {
    return subscribe(this.#stopListeners, listener);
  }

  onSuspend(listener: { before(): void; after(): void }): () => void {
    return subscribe(this.#suspendListeners, listener);
  }

  /** Played by the test. */
  foreground = true;

  isForeground(): boolean {
    return this.foreground;
  }

  prepareExitAtOnce(): Promise<void> {
    return Promise.resolve();
  }

  exitAtOnce(code: number): void {
    this.exit(code);
  }

  exit(code: number): void {
    this.exitCode ??= code;
  }

  #output(isTerminal: boolean, take: (chunk: string | Uint8Array) => void): Output {
    return {
      isTerminal,
      write: async (chunk) => take(chunk),
      size: () => ({ columns: this.screen.columns, rows: this.screen.rows }),
      onResize: (listener) => subscribe(this.#resizeListeners, listener),
    };
  }
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function fakeInput({ input = [], inputIsTerminal = false }: FakeHostOptions, rawModes: boolean[]): Input {
  const chunks = input.map((text): Uint8Array => Buffer.from(text));
  return {
    isTerminal: inputIsTerminal,
    setRaw: (raw) => void rawModes.push(raw),
    read: (signal) => (signal.aborted ? Promise.reject(signal.reason as Error) : Promise.resolve(chunks.shift())),
    unread: (bytes) => void chunks.unshift(bytes),
  };
}
