/** What commands that make layers by deltas are told about them. */
import { delimiter, resolve } from "node:path";
import type { DeltaMode } from "../transfer/deltas/deltas-of-pull.ts";
import type { FlagSpec } from "./command.ts";
import { parseChoice, parsePath } from "./parse-values.ts";
import type { Flags, Settings } from "./settings.ts";

const MODES = ["auto", "always", "never"] as const;

export const DELTA_FLAG: FlagSpec = {
  flags: "--delta <mode>",
  summary:
    "deltas from what is here: auto where they are the quickest way (default), always (no layer comes in another way), never",
  choices: MODES,
};

export const DELTA_ROOT_FLAGS: readonly FlagSpec[] = [
  {
    flags: "--delta-root <dir>",
    summary: "a store or an OCI layout to copy from as well, which is only read (also VARVE_DELTA_ROOT)",
    completes: "directory",
    repeats: true,
  },
  { flags: "--delta-data-root <dir>", summary: "the same", completes: "directory", repeats: true },
];

/** Default `auto`. @throws VarveError `USAGE` */
export function deltaModeOf({ delta }: Flags): DeltaMode | undefined {
  return typeof delta === "string" ? parseChoice("--delta", delta, MODES) : undefined;
}

/** The directories that flags name, else those of the environment. @throws VarveError `USAGE` */
export function deltaRootsOf(
  { deltaRoot, deltaDataRoot }: Flags,
  { deltaRoots }: Pick<Settings, "deltaRoots">,
): readonly string[] {
  const named = [listOf("--delta-root", deltaRoot), listOf("--delta-data-root", deltaDataRoot)].flat();
  return named.length > 0 ? named : (deltaRoots ?? []);
}

function listOf(flag: string, value: unknown): string[] {
  return Array.isArray(value) ? value.map((path) => resolve(parsePath(flag, String(path)))) : [];
}

/** Several are told apart as in `PATH`. @throws VarveError `USAGE` */
export function deltaRootsIn(text: string): readonly string[] {
  const paths = text.split(delimiter).filter((path) => path !== "");
  return paths.map((path) => resolve(parsePath("VARVE_DELTA_ROOT", path)));
}
