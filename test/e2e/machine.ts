/**
 * A machine on which varve runs, with a home and a store of its own and nothing of the real one's settings. `varve` runs
 * the program in this process, which is fast; `start` and `exec` run it as users do, for signals, kills and environments.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FakeHost } from "../../src/cli/host.suite.ts";
import { run } from "../../src/cli/run.ts";
import { connect } from "../../src/main.ts";
import type { ImageRow } from "../../src/transfer/images.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import type { RunningProgram } from "../kit/peers/run.ts";
import { startVarve, varveEnvironment } from "../kit/peers/varve.ts";
import { tempDir } from "../kit/temp-dir.ts";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one JSON document on stdout; undefined when it is none. */
  readonly json: unknown;
}

/** What `--json` prints when something failed. */
interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}

export interface Machine extends AsyncDisposable {
  /** A directory for whatever the test needs. */
  readonly path: string;
  /** Of the store; it does not exist before something is pulled. */
  readonly root: string;
  /** Runs a command in this process. */
  varve(...args: readonly string[]): Promise<Outcome>;
  /** Runs a command that must succeed, with `--json`, and gives what it printed. */
  ok(...args: readonly string[]): Promise<unknown>;
  /** `varve pull` of one image. */
  pull(...args: readonly string[]): Promise<PullResult>;
  /** `varve images` */
  images(): Promise<readonly ImageRow[]>;
  /** Runs a command that must fail, with `--json`. */
  fails(...args: readonly string[]): Promise<Failure["error"] & { readonly exit: number }>;
  /** Starts a command as a process of its own. */
  start(args: readonly string[], env?: Environment): RunningProgram;
  /** Runs a command as a process of its own, to its end. */
  exec(args: readonly string[], env?: Environment): Promise<Outcome>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @param more what its environment has besides */
export async function newMachine(more: Environment = {}): Promise<Machine> {
  const dir = await tempDir("varve-e2e-");
  const root = join(dir.path, "store");
  // This machine's own registries.conf must not count.
  const conf = join(dir.path, "registries.conf");
  await writeFile(conf, "");
  const xdg = { XDG_RUNTIME_DIR: undefined, XDG_CONFIG_HOME: undefined, XDG_DATA_HOME: undefined };
  const home = { HOME: dir.path, CONTAINERS_REGISTRIES_CONF: conf, ...xdg, VARVE_SNAPSHOTTER: undefined, ...more };
  const forget = pretend({ ...varveEnvironment({}), ...home });
  const start = (args: readonly string[], env: Environment = {}): RunningProgram =>
    startVarve(args, { root, env: { ...home, ...env } });
  const varve = async (...args: readonly string[]): Promise<Outcome> => {
    const env = Object.fromEntries(Object.entries(more).flatMap(([name, value]) => (value ? [[name, value]] : [])));
    const host = new FakeHost({ args: ["--root", root, ...args], env });
    const code = await run(host, connect);
    return outcome(code, host.out, host.err);
  };
  const ok = async (...args: readonly string[]): Promise<unknown> => {
    const { code, stdout, stderr, json } = await varve("--json", "--progress", "none", ...args);
    if (code !== 0) throw new Error(`varve ${args.join(" ")} ended with ${code}\n${stdout}\n${stderr}`);
    return json;
  };
  return {
    path: dir.path,
    root,
    varve,
    start,
    ok,
    pull: async (...args) => (await ok("pull", ...args)) as PullResult,
    images: async () => (await ok("images")) as ImageRow[],
    async fails(...args) {
      const { code, stdout, json } = await varve("--json", "--progress", "none", ...args);
      if (code === 0) throw new Error(`varve ${args.join(" ")} did not fail\n${stdout}`);
      return { ...(json as Failure).error, exit: code };
    },
    async exec(args, env) {
      const { code, stdout, stderr } = await start(args, env).result;
      return outcome(code, stdout.toString("utf8"), stderr);
    },
    async [Symbol.asyncDispose]() {
      forget();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function outcome(code: number, stdout: string, stderr: string): Outcome {
  return { code, stdout, stderr, json: /^[[{]/.test(stdout) ? (JSON.parse(stdout) as unknown) : undefined };
}

/** Changes this process's environment; returns the way back. */
function pretend(env: Environment): () => void {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(env)) set(name, value);
  return () => {
    for (const [name, value] of before) set(name, value);
  };
}
