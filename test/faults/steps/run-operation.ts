/** Runs an operation as users do, in a process of its own that follows a plan. */
import { start } from "../../kit/peers/run.ts";
import { VARVE_BIN, varveEnvironment } from "../../kit/peers/varve.ts";
import type { Unpacking } from "../lib/unpacking.ts";
import { countFile, readCount, stepEnvironment, type Moment, type StepCounts } from "./plan.ts";
import type { Operation } from "./operations.ts";
import type { Scenes } from "./scenes.ts";

export interface Ended {
  readonly code: number;
  /** Of the error, when `--json` told one. */
  readonly error: string | undefined;
  /** Undefined when it was killed. */
  readonly steps: StepCounts | undefined;
  readonly said: string;
}

export interface Place {
  /** For what is not in the store: the unpacked tree. On the same file system. */
  readonly dir: string;
  readonly root: string;
  /** Where nothing happens: the home of all runs, so that they share a compile cache, as a user's do. */
  readonly outside: string;
}

export async function runOperation(
  scenes: Scenes,
  operation: Operation,
  unpacking: Unpacking,
  { dir, root, outside }: Place,
  moment?: Moment,
): Promise<Ended> {
  const countTo = countFile(outside);
  const { program = VARVE_BIN } = operation;
  const args = [program, ...operation.args(scenes, dir, unpacking)];
  const env = { ...home(outside), ...operation.env, ...stepEnvironment({ countTo, moment }) };
  await using running = start(process.execPath, args, { env: varveEnvironment({ root, env }) });
  const { code, stdout, stderr } = await running.result;
  const said = `${stdout.toString()}\n${stderr}`;
  return { code, error: errorOf(stdout), steps: readCount(countTo), said };
}

/** The compile cache is shared, as a user's is. */
function home(outside: string): Record<string, string | undefined> {
  const none = Object.fromEntries(
    ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"].map((name) => [name, undefined]),
  );
  return { ...none, HOME: outside, CONTAINERS_REGISTRIES_CONF: "/dev/null" };
}

function errorOf(stdout: Buffer): string | undefined {
  try {
    return (JSON.parse(stdout.toString()) as { error?: { code?: string } }).error?.code;
  } catch {
    return undefined;
  }
}
