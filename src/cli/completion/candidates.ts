/** What may come next on a command line that is being typed. */
import { COMMANDS, type CommandEntry } from "../commands.ts";
import type { ArgumentSpec, Command, Completes, FlagSpec } from "../command.ts";
import { GLOBAL_FLAGS } from "../global-flags.ts";
import type { SnapshotKind } from "../../snapshot/types.ts";

export interface Completion {
  /** Whole words that begin with what was typed. */
  readonly words: readonly string[];
  /** What the shell adds from the file system. */
  readonly files: "file" | "directory" | "nothing";
}

/** What the store holds, looked up when it is asked for. */
export interface Held {
  images(): Promise<readonly string[]>;
  snapshots(): Promise<readonly { readonly key: string; readonly kind: SnapshotKind }[]>;
}

/** @param words after the program's name; the last is the one being typed, maybe empty */
export async function complete(words: readonly string[], held: Held): Promise<Completion> {
  const typed = words.at(-1) ?? "";
  const state = await readWords(words.slice(0, -1));
  const offered = await offer(state, typed, held);
  return { ...offered, words: [...new Set(offered.words)].filter((word) => word.startsWith(typed)).sort() };
}

interface State {
  readonly entry: CommandEntry | undefined;
  readonly command: Command | undefined;
  /** The flag whose value is being typed. */
  readonly flag: FlagSpec | undefined;
  /** Before the word that is being typed. */
  readonly args: readonly string[];
  /** After `--` nothing is a flag. */
  readonly isLiteral: boolean;
}

async function readWords(words: readonly string[]): Promise<State> {
  let entry: CommandEntry | undefined;
  let command: Command | undefined;
  let flag: FlagSpec | undefined;
  const args: string[] = [];
  let isLiteral = false;
  for (const word of words) {
    if (flag !== undefined) flag = undefined;
    else if (word === "--" && !isLiteral) isLiteral = true;
    else if (word.startsWith("-") && !isLiteral) flag = flagWithValue(word, flagsOf(command));
    else if (entry === undefined) {
      entry = COMMANDS.find(({ name, alias }) => name === word || alias === word);
      if (entry === undefined) return { entry: UNKNOWN, command, flag, args, isLiteral };
      command = await entry.load();
    } else args.push(word);
  }
  return { entry, command, flag, args, isLiteral };
}

/** After a word that is no command nothing can be said. */
const UNKNOWN: CommandEntry = { name: "", summary: "", load: () => Promise.reject(new Error("no command")) };

async function offer(state: State, typed: string, held: Held): Promise<Completion> {
  const { entry, command, flag, args, isLiteral } = state;
  if (flag !== undefined) return offerValue(flag, { typed, prefix: "" }, held);
  if (typed.startsWith("-") && !isLiteral) {
    const equals = typed.indexOf("=");
    if (equals !== -1) {
      const named = flagWithValue(typed.slice(0, equals), flagsOf(command));
      const [prefix, value] = [typed.slice(0, equals + 1), typed.slice(equals + 1)];
      return named === undefined ? NOTHING : offerValue(named, { typed: value, prefix }, held);
    }
    return { words: [...flagsOf(command).flatMap(({ flags }) => names(flags)), "--help"], files: "nothing" };
  }
  if (entry === undefined)
    return { words: COMMANDS.flatMap(({ name, alias }) => (alias ? [name, alias] : [name])), files: "nothing" };
  const argument = command === undefined ? undefined : argumentAt(command.arguments, args.length);
  if (argument === undefined) return NOTHING;
  const { choices, completes } = argument;
  const kind = typeof completes === "function" ? completes(args) : completes;
  return offerValue(
    { ...(choices !== undefined && { choices }), ...(kind !== undefined && { completes: kind }) },
    { typed, prefix: "" },
    held,
  );
}

/** What lies in a file is named by its path behind the transport; the shell completes what stands behind the colon. */
const TRANSPORTS = {
  "docker://": "nothing",
  "oci:": "directory",
  "oci-archive:": "file",
  "docker-archive:": "file",
} as const;

async function offerPlace(typed: string, held: Held): Promise<Completion> {
  const transport = Object.entries(TRANSPORTS).find(([name]) => typed.startsWith(name));
  if (transport !== undefined) return { words: [], files: transport[1] };
  return { words: [...(await held.images()), ...Object.keys(TRANSPORTS)], files: "nothing" };
}

const NOTHING: Completion = { words: [], files: "nothing" };

async function offerValue(
  { choices, completes = "nothing" }: { readonly choices?: readonly string[]; readonly completes?: Completes },
  { typed, prefix }: { readonly typed: string; readonly prefix: string },
  held: Held,
): Promise<Completion> {
  const listed = (words: readonly string[]): Completion => ({
    words: words.map((word) => prefix + word),
    files: "nothing",
  });
  if (choices !== undefined) return listed(choices);
  switch (completes) {
    case "place":
      return offerPlace(typed, held);
    case "image":
      return listed(await held.images());
    case "snapshot":
      return listed(await keys(held));
    case "prepared snapshot":
      return listed(await keys(held, PREPARED));
    case "active snapshot":
      return listed(await keys(held, ["active"]));
    case "image or snapshot":
      return listed([...(await held.images()), ...(await keys(held))]);
    case "image or prepared snapshot":
      return listed([...(await held.images()), ...(await keys(held, PREPARED))]);
    case "file":
    case "directory":
    case "nothing":
      return { words: [], files: completes };
  }
}

const PREPARED: readonly SnapshotKind[] = ["active", "view"];

async function keys(held: Held, kinds?: readonly SnapshotKind[]): Promise<string[]> {
  return (await held.snapshots()).flatMap(({ key, kind }) => (kinds?.includes(kind) === false ? [] : [key]));
}

function argumentAt(specs: readonly ArgumentSpec[], position: number): ArgumentSpec | undefined {
  const last = specs.at(-1);
  return specs[position] ?? (last?.name.includes("...") ? last : undefined);
}

function flagsOf(command: Command | undefined): readonly FlagSpec[] {
  return [...(command?.flags ?? []), ...GLOBAL_FLAGS];
}

/** The flag that the word names, if the next word is its value. */
function flagWithValue(word: string, flags: readonly FlagSpec[]): FlagSpec | undefined {
  return flags.find((flag) => /[<[]/.test(flag.flags) && names(flag.flags).includes(word));
}

/** `-u, --username <name>` names two. */
function names(flags: string): string[] {
  return flags.split(/[ ,]+/).filter((part) => part.startsWith("-"));
}
