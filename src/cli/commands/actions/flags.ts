/** The flags of all actions of a group of commands, as `varve disk` is one, as one list, which says whose each is; and none is given to an action that does not take it. */
import { VarveError } from "../../../errors/varve-error.ts";
import type { FlagSpec } from "../../command.ts";
import type { Flags } from "../../settings.ts";

/** What of an action matters here. */
interface ActionFlags {
  readonly name: string;
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
}

/** A flag that several actions take is listed once; they spell it alike. */
export function flagsOf(actions: readonly ActionFlags[]): FlagSpec[] {
  const uses = actions.flatMap(({ name, flags }) => flags.map((flag) => ({ name, flag })));
  const all: FlagSpec[] = [];
  for (const same of Map.groupBy(uses, ({ flag }) => flag.flags).values()) {
    const { flag } = same[0]!;
    all.push({ ...flag, summary: `with ${same.map(({ name }) => name).join(", ")}: ${flag.summary}` });
  }
  return all;
}

/** @throws VarveError `USAGE` when a flag is given that only other actions take */
export function refuseForeignFlags(
  action: ActionFlags,
  actions: readonly ActionFlags[],
  given: Flags,
  group: string,
): void {
  const own = new Set(action.flags.map(({ flags }) => flags));
  for (const { flags } of actions.flatMap((one) => one.flags)) {
    if (own.has(flags)) continue;
    const [long = "", no, name = ""] = /--(no-)?([a-z0-9-]+)/.exec(flags) ?? [];
    const value = given[name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())];
    if (value === undefined || value === (no !== undefined)) continue;
    throw new VarveError("USAGE", `varve ${group} ${action.name} takes no ${long}`, {
      hint: `write it as: varve ${group} ${action.usage}`,
    });
  }
}
