/**
 * Loaded into a process before its program: counts its steps, and at the one that was named does what the plan says. The functions of
 * `node:fs`, of its file handles and of `node:sqlite` are wrapped; what goes past them (native calls of an unpack) is no step.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { isMainThread } from "node:worker_threads";
import { powerCut } from "./power-cut.ts";
import { STEP_PLAN, type StepAct, type StepPlan } from "./plan.ts";

type Call = (this: unknown, ...args: unknown[]) => unknown;
type Functions = Record<string, Call>;

/** As they were before they were wrapped. */
const { openSync, writeSync, ftruncateSync, fstatSync, closeSync, writeFileSync } = fs;

const plan = JSON.parse(process.env[STEP_PLAN] ?? "null") as StepPlan | null;
if (plan !== null && isMainThread) await wrapAll(plan);

async function wrapAll({ countTo, at, act }: StepPlan): Promise<void> {
  // Children are no part of it, and threads only read.
  delete process.env[STEP_PLAN];
  delete process.env["NODE_OPTIONS"];
  let steps = 0;
  const step = (tear?: (part: number) => void): void => {
    steps++;
    if (steps === at && act !== undefined) carryOut(act, tear);
  };
  const handle = await fs.promises.open("/dev/null");
  const handles = Object.getPrototypeOf(handle) as Functions;
  await handle.close();
  wrap(handles, ["write"], step, tearWrite);
  wrap(handles, ["writeFile", "writev", "truncate", "chmod", "sync", "datasync"], step);
  const names = [
    "open",
    "mkdir",
    "rename",
    "rm",
    "unlink",
    "rmdir",
    "chmod",
    "writeFile",
    "link",
    "symlink",
    "truncate",
  ];
  wrap(fs.promises as unknown as Functions, names, step);
  wrap(fs as unknown as Functions, [...names.map((name) => `${name}Sync`), "writeSync", "fsyncSync"], step);
  wrap(DatabaseSync.prototype as unknown as Functions, ["exec"], step);
  wrap(StatementSync.prototype as unknown as Functions, ["run"], step);
  syncBuiltinESMExports();
  process.on("exit", () => writeFileSync(countTo, String(steps)));
}

type Tear = (self: unknown, args: unknown[], part: number) => void;

function wrap(
  owner: Functions,
  names: readonly string[],
  step: (tear?: (part: number) => void) => void,
  tear?: Tear,
): void {
  for (const name of names) {
    const original = owner[name];
    if (original === undefined) continue;
    owner[name] = function wrapped(this: unknown, ...args: unknown[]): unknown {
      step(tear && ((part) => tear(this, args, part)));
      return original.apply(this, args);
    };
  }
}

/** The first part of what a file handle was about to write. */
function tearWrite(self: unknown, [bytes, offset, length, position]: unknown[], part: number): void {
  if (!(bytes instanceof Uint8Array)) return;
  const whole = Number(length ?? bytes.length);
  writeSync((self as { fd: number }).fd, bytes, Number(offset ?? 0), Math.floor(whole * part), Number(position ?? 0));
}

function carryOut(act: StepAct, tear?: (part: number) => void): void {
  switch (act.kind) {
    case "kill":
      tear?.(act.tear);
      return die();
    case "power":
      powerCut(act.path, { logFlush: act.logFlush });
      return die();
    case "fill":
      return fill(act.ballast, act.slack);
  }
}

/** As a crash does it: no handler runs, nothing is flushed. */
function die(): void {
  process.kill(process.pid, "SIGKILL");
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

function fill(ballast: string, slack: number): void {
  const fd = openSync(ballast, "w");
  for (const size of [1 << 20, 4096]) {
    try {
      for (;;) writeSync(fd, Buffer.alloc(size, 1));
    } catch {
      // Full, as far as pieces of this size go.
    }
  }
  ftruncateSync(fd, Math.max(0, fstatSync(fd).size - slack));
  closeSync(fd);
}
