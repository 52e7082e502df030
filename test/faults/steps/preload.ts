/**
 * Loaded into a process before its program, and into its threads: counts their steps together, and at the one that was named does what the
 * plan says. The functions of `node:fs`, of its file handles and of `node:sqlite` are wrapped, and the foreign calls that change something.
 */
import fs from "node:fs";
import Module, { syncBuiltinESMExports } from "node:module";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";
import { powerCut } from "./power-cut.ts";
import { STEP_PLAN, type StepAct, type StepKind, type StepPlan } from "./plan.ts";

type Call = (this: unknown, ...args: unknown[]) => unknown;
type Functions = Record<string, Call>;

/** As they were before they were wrapped. */
const { openSync, writeSync, ftruncateSync, fstatSync, closeSync, writeFileSync } = fs;

interface Counting {
  readonly plan: StepPlan;
  readonly counts: Int32Array;
}

const KINDS: readonly StepKind[] = ["calls", "native"];
/** What of the foreign calls changes what is kept, or what is mounted. */
const CHANGES =
  /\b(openat|p?write|ftruncate|mkdirat|unlinkat|renameat2?|symlinkat|linkat|mknodat|f?chownat|fchown|fchmod(at)?|utimensat|futimens|[lf]setxattr|lremovexattr|fallocate|copy_file_range|ioctl|syncfs|mount|umount2|syscall)\(/;

const counting = isMainThread ? begin() : (getEnvironmentData(STEP_PLAN) as Counting | undefined);
if (counting !== undefined) await wrapAll(counting);

function begin(): Counting | undefined {
  const text = process.env[STEP_PLAN];
  // Children are no part of it.
  delete process.env[STEP_PLAN];
  if (text === undefined) return undefined;
  const plan = JSON.parse(text) as StepPlan;
  const counts = new Int32Array(new SharedArrayBuffer(4 * KINDS.length));
  const counting = { plan, counts };
  setEnvironmentData(STEP_PLAN, counting);
  process.on("exit", () => {
    const result = Object.fromEntries(KINDS.map((kind, index) => [kind, counts[index]]));
    writeFileSync(plan.countTo, JSON.stringify(result));
  });
  return counting;
}

async function wrapAll({ plan: { moment }, counts }: Counting): Promise<void> {
  const stepOf =
    (kind: StepKind) =>
    (tear?: (part: number) => void): void => {
      const number = Atomics.add(counts, KINDS.indexOf(kind), 1) + 1;
      if (moment?.of === kind && number === moment.at) carryOut(moment.act, tear);
    };
  const step = stepOf("calls");
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
  wrap(fs as unknown as Functions, ["write", "fsync", "fdatasync"], step);
  wrap(fs as unknown as Functions, [...names.map((name) => `${name}Sync`), "writeSync", "fsyncSync"], step);
  wrap(DatabaseSync.prototype as unknown as Functions, ["exec"], step);
  wrap(StatementSync.prototype as unknown as Functions, ["run"], step);
  syncBuiltinESMExports();
  wrapForeign(stepOf("native"));
}

/** As soon as the library for foreign calls is loaded, which many processes never do. */
function wrapForeign(step: () => void): void {
  const modules = Module as unknown as Functions;
  const load = modules["_load"]!;
  modules["_load"] = function wrapped(this: unknown, ...args: unknown[]): unknown {
    const loaded = load.apply(this, args);
    if (args[0] !== "koffi") return loaded;
    modules["_load"] = load;
    const koffi = loaded as Functions;
    const open = koffi["load"]!;
    koffi["load"] = function opened(this: unknown, ...names: unknown[]): unknown {
      const library = open.apply(this, names) as Functions;
      const bind = library["func"]!.bind(library);
      return { ...library, func: (prototype: string) => counted(prototype, bind(prototype) as Foreign, step) };
    };
    return loaded;
  };
}

type Foreign = Call & { async: Call };

function counted(prototype: string, foreign: Foreign, step: () => void): Foreign {
  if (!CHANGES.test(prototype)) return foreign;
  const before =
    (call: Call): Call =>
    (...args) => {
      step();
      return call(...args);
    };
  return Object.assign(before(foreign), { async: before(foreign.async) });
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
