/** Runs an operation as users do, in a process of its own that follows a plan. */
import { runVarve, startVarve } from "../../kit/peers/varve.ts";
import { countFile, readCount, stepEnvironment, type StepAct } from "./plan.ts";
import type { Operation } from "./operations.ts";
import type { Scenes } from "./scenes.ts";

const LOOK_EVERY_MS = 1;

export interface Moment {
  readonly at: number;
  readonly act: StepAct;
}

export interface Ended {
  readonly code: number;
  /** Of the error, when `--json` told one. */
  readonly error: string | undefined;
  /** Undefined when it was killed. */
  readonly steps: number | undefined;
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
  { dir, root, outside }: Place,
  moment?: Moment,
): Promise<Ended> {
  const countTo = countFile(outside);
  const { code, stdout, stderr } = await runVarve(argsOf(scenes, operation, dir), {
    root,
    env: { ...home(outside), ...stepEnvironment({ countTo, ...moment }) },
  });
  const said = `${stdout.toString()}\n${stderr}`;
  return { code, error: errorOf(stdout), steps: readCount(countTo), said };
}

/** Kills it as soon as so much is to be seen of its work, for operations whose work is done past Node's file functions. */
export async function killOperation(
  scenes: Scenes,
  operation: Operation,
  { dir, root, outside }: Place,
  isFarEnough: () => boolean,
): Promise<{ readonly killed: boolean }> {
  await using program = startVarve(argsOf(scenes, operation, dir), { root, env: home(outside) });
  const timer = setInterval(() => isFarEnough() && program.kill("SIGKILL"), LOOK_EVERY_MS);
  const { code } = await program.result;
  clearInterval(timer);
  return { killed: code === 137 };
}

function argsOf(scenes: Scenes, operation: Operation, dir: string): string[] {
  return ["--json", "--progress", "none", ...operation.args(scenes, dir)];
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
