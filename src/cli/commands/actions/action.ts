/** What an action of a group of commands is, as those of `varve disk` and `varve delta` are: a command of its own but for the flags, which all of a group share a list of. */
import type { Call, Completes, FlagSpec, View } from "../../command.ts";

/** `call.args` are the words after the action's name. */
export interface Action<Data extends object = object> {
  readonly name: string;
  /** Its words and flags as they are written: `copy SRC DST [--verify]`. */
  readonly usage: string;
  /** How many words it takes, least and most. */
  readonly words: readonly [least: number, most: number];
  /** What the word after these may be. */
  completes(words: readonly string[]): Completes;
  /** A flag that another action has too is spelt as there, and has the same summary. */
  readonly flags: readonly FlagSpec[];
  readonly notes: readonly string[];
  readonly examples: readonly string[];
  run(call: Call): Promise<Data>;
  render(data: Data, view: View): string;
}
