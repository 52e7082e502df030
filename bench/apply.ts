/**
 * What it costs to apply a layer of many small files: our appliers beside `tar x`, on the same tar. `tar x` makes the same system calls for
 * each file (openat, write, fchown, utimensat, close) and is the floor; what we take beyond it is JavaScript's share.
 *
 *     node bench/apply.ts [FILES=100000] [DIRECTORY=/dev/shm] [ROUNDS=5]
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeTarEntry, TAR_END, tarPadding } from "../src/codec/tar/header.ts";
import { TarParser } from "../src/codec/tar/parser.ts";
import { LayerApplier } from "../src/layer/apply.ts";
import { OverlayApplier } from "../src/layer/overlay-applier.ts";

const CHUNK = 1024 * 1024;
const FILES_PER_DIRECTORY = 50;
const files = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[4] ?? 5);
const base = mkdtempSync(join(process.argv[3] ?? "/dev/shm", "varve-bench-"));

/** Small files such as a language runtime's: 50 in a directory, 1 KiB on average, not ours. */
function sampleTar(): Buffer {
  const pieces: Uint8Array[] = [];
  const owner = { uid: 1000, gid: 1000, modifiedAt: { seconds: 1_700_000_000, nanoseconds: 123_456_789 } };
  for (let index = 0; index < files; index++) {
    const directory = `usr/lib/pkg${Math.floor(index / FILES_PER_DIRECTORY)}/`;
    if (index % FILES_PER_DIRECTORY === 0)
      pieces.push(encodeTarEntry({ name: directory, type: "directory", ...owner }));
    const size = (index * 37) % 2048;
    const name = `${directory}module-${index}.js`;
    pieces.push(encodeTarEntry({ name, type: "file", size, storedSize: size, ...owner }), Buffer.alloc(size, 120));
    pieces.push(tarPadding(size));
  }
  return Buffer.concat([...pieces, TAR_END]);
}

interface Cost {
  readonly wall: number;
  readonly user: number;
  readonly system: number;
}

const costs = new Map<string, Cost[]>();

function note(what: string, cost: Cost): void {
  costs.set(what, [...(costs.get(what) ?? []), cost]);
}

function median(what: string, of: (cost: Cost) => number): number {
  const sorted = (costs.get(what) ?? []).map(of).toSorted((a, b) => a - b);
  return ((sorted[Math.floor(sorted.length / 2)] ?? 0) * 1000) / files;
}

function say(what: string): void {
  const [wall, user, system] = [(cost: Cost) => cost.wall, (cost: Cost) => cost.user, (cost: Cost) => cost.system].map(
    (of) => median(what, of).toFixed(1).padStart(6),
  );
  console.log(`${what.padEnd(24)} per file: ${wall} us wall ${user} us user ${system} us system`);
}

function measure(what: string, run: () => void): void {
  const before = process.cpuUsage();
  const start = performance.now();
  run();
  const { user, system } = process.cpuUsage(before);
  note(what, { wall: performance.now() - start, user: user / 1000, system: system / 1000 });
}

function feed(parser: TarParser, tar: Buffer): void {
  for (let at = 0; at < tar.length; at += CHUNK) parser.write(tar.subarray(at, at + CHUNK));
  parser.end();
}

function fresh(name: string): string {
  const path = join(base, name);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
  return path;
}

function apply(tar: Buffer, root: string): void {
  using applier = new LayerApplier(root);
  applier.beginLayer();
  feed(new TarParser(applier), tar);
  applier.endLayer();
  applier.finish();
}

function applyOverlay(tar: Buffer, root: string): void {
  using applier = new OverlayApplier(root, { userXattr: false });
  feed(new TarParser(applier), tar);
  applier.finish();
}

function systemTar(file: string): void {
  const directory = fresh("theirs");
  const script = 'TIMEFORMAT="%R %U %S"; time tar --extract --same-owner --file "$0" --directory "$1"';
  const { stderr } = spawnSync("bash", ["-c", script, file, directory], { encoding: "utf8" });
  const [wall = 0, user = 0, system = 0] = stderr
    .trim()
    .split(/\s+/)
    .map((text) => Number(text) * 1000);
  note("tar x", { wall, user, system });
}

try {
  const file = join(base, "sample.tar");
  writeFileSync(file, sampleTar());
  const tar = readFileSync(file);
  for (let round = 0; round < rounds; round++) {
    measure("parse only", () => feed(new TarParser({ entry() {}, data() {}, endEntry() {} }), tar));
    const [tree, layer] = [fresh("tree"), fresh("layer")];
    measure("apply", () => apply(tar, tree));
    measure("apply, overlay form", () => applyOverlay(tar, layer));
    systemTar(file);
  }
  for (const what of costs.keys()) say(what);
  const user = (what: string): number => median(what, (cost) => cost.user);
  const share = Math.max(user("apply"), user("apply, overlay form")) - user("tar x");
  console.log(`JavaScript's share         per file: ${share.toFixed(1)} us user`);
} finally {
  rmSync(base, { recursive: true, force: true });
}
