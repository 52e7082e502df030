/** Other people's tar readers and writers, brought to one shape, so that tests can hold the codec against them. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TarEntry } from "../../src/codec/tar/entry.ts";
import { TarParser } from "../../src/codec/tar/parser.ts";
import { decodeName, encodeName } from "../../src/sys/path-bytes.ts";
import { isVarveError } from "../../src/errors/varve-error.ts";
import { findPeer } from "../kit/peers.ts";

/** What all readers can be asked for. Content that is larger than this is not hashed. */
const HASH_LIMIT = 1 << 20;
const OUTPUT_LIMIT = 256 * 1024 * 1024;

export interface ReadEntry {
  readonly flag: number;
  readonly name: string;
  readonly link: string;
  readonly user: string;
  readonly group: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly seconds: number;
  readonly nanos: number;
  readonly major: number;
  readonly minor: number;
  /** Names and values in base64. */
  readonly xattrs: Readonly<Record<string, string>>;
  readonly sha256: string;
}

export interface ReadArchive {
  readonly entries: readonly ReadEntry[];
  /** Empty when the archive was read to its end. */
  readonly error: string;
}

/** Where Debian's golang-github-vbatts-tar-split-dev puts the library. */
const GO_LIBRARIES = "/usr/share/gocode";

/** Whether the Go tar-split library is there to compare with. */
export const hasGoTarSplit =
  findPeer("go") !== undefined && existsSync(join(GO_LIBRARIES, "src/github.com/vbatts/tar-split"));

/** Compiles one of the programs in `go/` and returns its path. */
export function buildGo(program: "tar" | "tar-split", directory: string): string {
  const target = join(directory, program);
  execFileSync(findPeer("go") ?? "go", ["build", "-o", target, join(import.meta.dirname, "go", program, "main.go")], {
    cwd: directory,
    env: { ...process.env, GO111MODULE: "off", GOPATH: GO_LIBRARIES, GOFLAGS: "", GOCACHE: join(directory, "cache") },
  });
  return target;
}

/** Runs a program and returns what it printed. */
export function run(program: string, args: readonly string[], cwd?: string): Buffer {
  return execFileSync(program, args, { cwd, maxBuffer: OUTPUT_LIMIT, stdio: ["ignore", "pipe", "pipe"] });
}

type Encoded = { name: string; link: string; user: string; group: string; xattrs: Record<string, string> | null };
type EncodedEntry = Omit<ReadEntry, keyof Encoded> & Encoded;

const fromBase64 = (text: string | null): string => decodeName(Buffer.from(text ?? "", "base64"));

/** Reads archives with a program that prints JSON as go/tar/main.go does. */
export async function readWith(
  command: readonly string[],
  archives: readonly Uint8Array[],
  directory: string,
): Promise<ReadArchive[]> {
  const [program = "", ...args] = command;
  const paths = archives.map((_, i) => join(directory, `archive-${i}.tar`));
  for (const [i, path] of paths.entries()) await writeFile(path, archives[i] ?? "");
  const lines = run(program, [...args, ...paths])
    .toString()
    .trimEnd()
    .split("\n");
  return lines.map((line) => {
    const { entries, error } = JSON.parse(line) as { entries: EncodedEntry[]; error: string };
    return { error, entries: entries.map(decodeEntry) };
  });
}

function decodeEntry(entry: EncodedEntry): ReadEntry {
  const { name, link, user, group, xattrs } = entry;
  return Object.assign(entry, {
    name: fromBase64(name),
    link: fromBase64(link),
    user: fromBase64(user),
    group: fromBase64(group),
    xattrs: xattrs ?? {},
  });
}

/** The same with the parser under test. */
export function readWithParser(archive: Uint8Array, step = 10_000): ReadArchive & { readonly code: string } {
  const entries: ReadEntry[] = [];
  let current: TarEntry | undefined;
  let stored: Uint8Array[] = [];
  const parser = new TarParser({
    entry(entry) {
      current = entry;
      stored = [];
    },
    data: (bytes) => void stored.push(Buffer.from(bytes)),
    endEntry: () => void (current !== undefined && entries.push(toReadEntry(current, Buffer.concat(stored)))),
    globalHeader: (name) => void entries.push({ ...NOTHING, flag: 0x67, name }),
  });
  try {
    for (let at = 0; at < archive.length; at += step) parser.write(archive.subarray(at, at + step));
    parser.end();
    return { entries, error: "", code: "" };
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return { entries, error: error.message, code: error.code };
  }
}

const EMPTY_SHA256 = createHash("sha256").digest("hex");
/** What Go tells of a global header: its name. */
const NOTHING: ReadEntry = {
  flag: 0,
  name: "",
  link: "",
  user: "",
  group: "",
  size: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  seconds: -62_135_596_800,
  nanos: 0,
  major: 0,
  minor: 0,
  xattrs: {},
  sha256: EMPTY_SHA256,
};

function toReadEntry(entry: TarEntry, stored: Buffer): ReadEntry {
  return {
    flag: goFlag(entry),
    name: entry.name,
    link: entry.linkName,
    user: entry.userName,
    group: entry.groupName,
    size: entry.size,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    seconds: entry.modifiedAt.seconds,
    nanos: entry.modifiedAt.nanoseconds,
    major: entry.deviceMajor,
    minor: entry.deviceMinor,
    xattrs: Object.fromEntries([...(entry.xattrs ?? [])].map(([k, v]) => [toBase64(encodeName(k)), toBase64(v)])),
    sha256: entry.size > HASH_LIMIT ? "" : createHash("sha256").update(expand(entry, stored)).digest("hex"),
  };
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** Go names the old flag for files by what it turned out to be. */
function goFlag(entry: TarEntry): number {
  if (entry.typeFlag !== 0) return entry.typeFlag;
  return entry.type === "directory" ? 0x35 : 0x30;
}

/** A sparse file's content with its holes. */
export function expand(entry: TarEntry, stored: Buffer): Buffer {
  if (entry.sparse === undefined) return stored;
  const content = Buffer.alloc(entry.size);
  let at = 0;
  for (const { offset, length } of entry.sparse) {
    stored.copy(content, offset, at, at + length);
    at += length;
  }
  return content;
}
