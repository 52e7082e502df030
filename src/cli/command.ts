/** What a command is. Commands return data; `output.ts` prints it, as JSON or through the command's `render`. */
import type { Logger } from "./logger.ts";
import type { Terminal } from "./prompt.ts";
import type { Services } from "./services.ts";
import type { Flags, Settings } from "./settings.ts";

/**
 * What the shell may offer for a value. A place is an image of the store, or with a transport's name before it one in a file; prepared are
 * snapshots that can be mounted as they are, the active ones and views.
 */
export type Completes =
  | "image"
  | "place"
  | "snapshot"
  | "prepared snapshot"
  | "active snapshot"
  | "image or snapshot"
  | "image or prepared snapshot"
  | "file"
  | "directory"
  | "nothing";

export interface FlagSpec {
  /** As commander takes it: `-u, --username <name>`. */
  readonly flags: string;
  readonly summary: string;
  readonly choices?: readonly string[];
  readonly completes?: Completes;
  /** It may be given several times, and its value is the list of what was given. Default false. */
  readonly repeats?: boolean;
}

export interface ArgumentSpec {
  /** As commander takes it: `<image>`, `[dir]`, `<ref...>`. */
  readonly name: string;
  readonly summary: string;
  readonly choices?: readonly string[];
  /** Where it depends on the arguments before it, as with actions, by these. Default: nothing. */
  readonly completes?: Completes | ((earlier: readonly string[]) => Completes);
}

/** One use of a command. */
export interface Call {
  readonly args: readonly string[];
  /** The command's own flags by their long name in camelCase; `--no-sync` is `sync: false`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly settings: Settings;
  readonly services: Services;
  readonly logger: Logger;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** For commands that run until they are stopped: SIGHUP is told to the listener. */
  readonly onHangUp: (listener: () => void) => void;
}

/** What rendering may depend on. */
export interface View {
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Command<Data = unknown> {
  readonly arguments: readonly ArgumentSpec[];
  readonly flags: readonly FlagSpec[];
  /** Sentences of help after the flags: what one has to know beside them. */
  readonly notes?: readonly string[];
  /** Lines of help after the flags: examples. */
  readonly examples?: readonly string[];
  /** Transfers report their progress while it runs. */
  readonly showsProgress?: boolean;
  /** An interrupted run leaves its progress, bytes in the store or whole blobs where they were going, and the user is told how much. */
  readonly keepsProgress?: "in the store" | "at its destination";
  /** To be stopped is its good end, for which it may take its time; SIGHUP means to read its configuration again. */
  readonly runsUntilStopped?: boolean;
  /** Global flags that its arguments carry, as the words of a command line that is being typed do. */
  globalsIn?(args: readonly string[]): Flags;
  run(call: Call): Promise<Data>;
  /** For data that is printed in full and is bad news all the same. Default: 0. */
  exitCode?(data: Data): number;
  /** The data as people read it; empty for nothing. Bytes are passed on as they are and need none. */
  render(data: Exclude<Data, Uint8Array>, view: View): string;
}
