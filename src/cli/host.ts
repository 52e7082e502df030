/** What the command line needs of the process it runs in: the program passes the real one, a test plays one. */

/** Where text goes. A reader that has gone away is not an error: what is written after that is dropped. */
export interface Output {
  /** Whether a person's terminal is at the other end. */
  readonly isTerminal: boolean;
  /** Settles when the system has taken the bytes. On stdout it rejects when the system refuses them, on stderr never. */
  write(chunk: string | Uint8Array): Promise<void>;
  /** Of the terminal, in cells. 80 × 24 when it is none. */
  size(): { readonly columns: number; readonly rows: number };
  /** Calls back when the terminal has another size; returns the way to stop that. */
  onResize(listener: () => void): () => void;
}

/** Where a password may come from. */
export interface Input {
  readonly isTerminal: boolean;
  /** Switches echo and line editing of the terminal off (true) or on. */
  setRaw(raw: boolean): void;
  /** What comes next; undefined at the end. Rejects with the signal's reason when that is aborted. */
  read(signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Puts back what the next reader is to get. */
  unread(bytes: Uint8Array): void;
}

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

export interface Host {
  /** Without the program itself. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Milliseconds that only grow. */
  now(): number;
  /** Calls back once after so many milliseconds; returns the way to prevent it. Keeps no process alive. */
  later(milliseconds: number, callback: () => void): () => void;
  /** Calls back with what nobody caught; returns the way to stop that. */
  onCrash(listener: (error: unknown) => void): () => void;
  /** Calls back on each request to stop; returns the way to stop listening. */
  onStop(listener: (signal: StopSignal) => void): () => void;
  /** Calls back before the shell suspends the program and after it goes on; returns the way to stop listening. */
  onSuspend(listener: { before(): void; after(): void }): () => void;
  /** Whether the terminal is this process's to draw on. In the background (`varve ... &`, `bg`) it is the shell's. */
  isForeground(): boolean;
  /** Ends the process when what the system has been asked to do is done. */
  exit(code: number): void;
  /** Makes {@link exitAtOnce} ready, for what may have to be left in the midst of things. */
  prepareExitAtOnce(): Promise<void>;
  /** Ends the process at once, whatever is under way: with a slow disk, `exit` may take long. */
  exitAtOnce(code: number): void;
}
