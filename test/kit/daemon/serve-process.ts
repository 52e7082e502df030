/** `varve serve` as a process of its own, for tests that kill it or send it signals. */
import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { callsTo, type Call } from "../net/call.ts";
import type { RunningProgram } from "../peers/run.ts";
import { startVarve } from "../peers/varve.ts";
import { tempDir } from "../temp-dir.ts";

export interface ServeOptions {
  /** The store. */
  readonly root: string;
  /** Further flags. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: `--listen 127.0.0.1:0 --no-auth`. */
  readonly listen?: readonly string[];
}

/** When it is disposed of it is killed outright. */
export interface ServeProcess extends RunningProgram {
  /** `127.0.0.1:PORT`, as it stands in the address file. */
  readonly host: string;
  readonly call: Call;
}

/** Settles when it listens. @throws Error with what it said when it ends before */
export async function startServe(options: ServeOptions): Promise<ServeProcess> {
  const { root, args = [], env = {}, listen = ["--listen", "127.0.0.1:0", "--no-auth"] } = options;
  const dir = await tempDir();
  const file = `${dir.path}/address`;
  const program = startVarve(["serve", "--snapshotter", "none", ...listen, "--addr-file", file, ...args], {
    root,
    // No configuration of this machine's.
    env: { XDG_CONFIG_HOME: dir.path, ...env },
    timeoutMs: Infinity,
  });
  const dispose = async (): Promise<void> => {
    await program[Symbol.asyncDispose]();
    await dir[Symbol.asyncDispose]();
  };
  try {
    const host = await Promise.race([written(file), endedEarly(program)]);
    const scheme = args.includes("--tls-cert") ? "https" : "http";
    return { ...program, host, call: callsTo(() => `${scheme}://${host}`), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The text of a file that appears whole. */
function written(path: string): Promise<string> {
  return new Promise((resolve) => {
    const look = async (): Promise<void> => {
      const text = await readFile(path, "utf8").catch(() => undefined);
      if (text === undefined) return;
      watcher.close();
      resolve(text.trim());
    };
    const watcher = watch(dirname(path), { persistent: false }, () => void look());
    void look();
  });
}

async function endedEarly(program: RunningProgram): Promise<never> {
  const { code, stderr } = await program.result;
  throw new Error(`varve serve ended with ${code} before it listened: ${stderr.slice(-2000)}`);
}
