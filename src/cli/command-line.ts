/** Arguments to a command and its flags, by commander; everything that commander has to say becomes a value or a coded error. */
import { Command as Parser, CommanderError, Option } from "commander";
import { ERROR_TABLE } from "../errors/table.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { COMMANDS, type CommandEntry } from "./commands.ts";
import { COMPLETE_COMMAND } from "./complete-entry.ts";
import type { Command, FlagSpec } from "./command.ts";
import { GLOBAL_FLAGS } from "./global-flags.ts";
import type { Flags } from "./settings.ts";

/** What commander wraps to where it knows no better. */
const HELP_COLUMNS = 80;

const LISTED = "varve --help lists the commands";

export type CommandLine =
  | {
      readonly kind: "run";
      /** As it was found in the list of commands. */
      readonly name: string;
      readonly command: Command;
      readonly args: readonly string[];
      readonly flags: Flags;
      readonly globals: Flags;
    }
  | { readonly kind: "help"; readonly text: string };

/** @throws VarveError `USAGE` */
export async function readCommandLine(args: readonly string[]): Promise<CommandLine> {
  let result: CommandLine | undefined;
  let help = "";
  const program = createProgram((text) => {
    help += text;
  });
  let chosen: string | undefined;
  const load = async (parser: Parser): Promise<void> => {
    const entry = [...COMMANDS, COMPLETE_COMMAND].find(({ name }) => name === parser.name());
    if (entry === undefined || chosen !== undefined) return;
    const { name } = entry;
    chosen = name;
    const command = await entry.load();
    describe(parser, command);
    parser.action(() => {
      result = { kind: "run", name, command, args: parser.args, flags: parser.opts(), globals: program.opts() };
    });
  };
  program.hook("preSubcommand", (_, parser) => load(parser));
  const helpParser = program.command("help", { hidden: true }).argument("[command]").helpOption(false);
  helpParser.action(async (name?: string) => {
    const parser = name === undefined ? program : program.commands.find((one) => names(one).includes(name));
    if (parser === undefined) throw unknownCommand(name ?? "");
    await load(parser);
    parser.outputHelp();
    result = { kind: "help", text: help };
  });
  try {
    await program.parseAsync(asCommand(args), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === "commander.helpDisplayed") return { kind: "help", text: help };
    throw fromCommander(error, chosen);
  }
  if (result === undefined) throw noCommand();
  return result;
}

/** The same error, with a hint that names the command's own help where it had none but the general one. */
export function withHelp(error: unknown, command: string): unknown {
  if (!isVarveError(error, "USAGE") || error.hint !== ERROR_TABLE.USAGE.hint) return error;
  return new VarveError("USAGE", error.message, { hint: helpOf(command), cause: error.cause, detail: error.detail });
}

/** `varve --version` is what people try first. */
function asCommand(args: readonly string[]): readonly string[] {
  return args[0] === "--version" ? ["version", ...args.slice(1)] : args;
}

/** Whether `--json` was given, also where the rest cannot be understood. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end === -1 ? args.length : end).includes("--json");
}

function createProgram(print: (text: string) => void): Parser {
  const program = new Parser("varve")
    .description("Moves container images between OCI registries and machines, and moves only what changed.")
    .exitOverride()
    // Help goes to the caller; the texts of errors come back as exceptions.
    .configureOutput({ writeOut: print, writeErr: print, outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .helpCommand(false)
    .usage("COMMAND [options]");
  for (const flag of GLOBAL_FLAGS) program.addOption(option(flag));
  for (const entry of COMMANDS) addEntry(program, entry);
  addEntry(program, COMPLETE_COMMAND, true);
  return program;
}

function addEntry(program: Parser, entry: CommandEntry, hidden = false): void {
  const parser = program.command(entry.name, { hidden }).description(entry.summary);
  if (entry.alias !== undefined) parser.alias(entry.alias);
}

function describe(parser: Parser, command: Command): void {
  for (const argument of command.arguments) parser.argument(argument.name, argument.summary);
  for (const flag of command.flags) parser.addOption(option(flag));
  if (command.notes !== undefined) {
    const notes = parser.createHelp().boxWrap(command.notes.join(" "), HELP_COLUMNS);
    parser.addHelpText("after", `\n${notes}`);
  }
  if (command.examples !== undefined) {
    parser.addHelpText("after", `\nExamples:\n${command.examples.map((line) => `  ${line}\n`).join("")}`);
  }
}

function option(flag: FlagSpec): Option {
  const choices = flag.choices === undefined ? "" : `: ${flag.choices.join("|")}`;
  const made = new Option(flag.flags, flag.summary + choices);
  if (flag.repeats !== true) return made;
  return made.argParser((value, earlier: readonly string[] | undefined) => [...(earlier ?? []), value]);
}

function names(parser: Parser): string[] {
  return [parser.name(), ...parser.aliases()];
}

function unknownCommand(name: string): VarveError {
  return new VarveError("USAGE", `unknown command '${name}'`, { hint: LISTED });
}

function noCommand(): VarveError {
  return new VarveError("USAGE", "no command was given", { hint: LISTED });
}

function helpOf(command: string | undefined): string {
  return command === undefined ? ERROR_TABLE.USAGE.hint : `see varve ${command} --help`;
}

/** commander writes `error: what\n(Did you mean this?)`; what it means may be far off. */
function fromCommander(error: CommanderError, command: string | undefined): VarveError {
  if (error.code === "commander.help") return noCommand();
  const [what = "", ...suggestion] = error.message.split("\n");
  const meant = /\(D(id you mean .*)\)/.exec(suggestion.join(" "))?.[1];
  const help = error.code === "commander.unknownCommand" ? LISTED : helpOf(command);
  const hint = meant === undefined ? help : `d${meant} ${help}`;
  return new VarveError("USAGE", what.replace(/^error: /, "").replace(/\.$/, ""), { hint });
}
