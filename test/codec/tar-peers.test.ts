/** The tar codec against other people's readers and writers. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { extract } from "tar-stream";
import { encodeTarEntry, TAR_END, tarPadding, type TarEntryInit, type TarFormat } from "../../src/codec/tar/header.ts";
import { TarParser } from "../../src/codec/tar/parser.ts";
import { findPeer } from "../kit/peers.ts";
import { tempDir, type TempDir } from "../kit/temp-dir.ts";
import { archivesOf, makeTree, type PeerArchive } from "./archives.ts";
import { mutate, randomFrom } from "./mutate.ts";
import { buildGo, readWith, readWithParser, run, type ReadArchive, type ReadEntry } from "./oracles.ts";
import { mkdir, writeFile } from "node:fs/promises";
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

const go = findPeer("go");
const python = findPeer("python3");
const gnuTar = findPeer("tar");
const bsdtar = findPeer("bsdtar");

let work: TempDir;
let goTar = "";
let archives: PeerArchive[] = [];

beforeAll(async () => {
  work = await tempDir();
  await mkdir(join(work.path, "tree"));
  await makeTree(join(work.path, "tree"));
  archives = archivesOf(join(work.path, "tree"));
  if (go !== undefined) {
    goTar = buildGo("tar", work.path);
    for (const format of ["ustar", "pax", "gnu"]) {
      archives.push({ maker: `go ${format}`, bytes: run(goTar, ["write", format]), sparse: false });
    }
  }
});
afterAll(() => work[Symbol.asyncDispose]());

const readWithGo = (bytes: readonly Uint8Array[]): Promise<ReadArchive[]> =>
  readWith([goTar, "read"], bytes, work.path);

/** Without what Go passes on although it means nothing: sizes where no data follows, link names of other members. */
function comparable(entry: ReadEntry): ReadEntry {
  const copy = Object.assign({}, entry);
  if (entry.flag !== 0x31 && entry.flag !== 0x32) Object.assign(copy, { link: "" });
  return isData(entry.flag) ? copy : Object.assign(copy, { size: 0, sha256: "" });
}
/** The beginning of an archive up to the end of some member. */
function firstMembers(archive: Buffer, limit: number): Buffer {
  let end = 0;
  const parser = new TarParser({
    entry() {},
    data() {},
    endEntry() {
      const border = Math.ceil(parser.offset / 512) * 512;
      if (border <= limit) end = border;
    },
  });
  for (let at = 0; at < archive.length; at += 512) parser.write(archive.subarray(at, at + 512));
  return archive.subarray(0, end);
}

const isData = (flag: number): boolean => flag < 0x31 || flag > 0x36;

describe.skipIf(gnuTar === undefined && bsdtar === undefined)("archives of other tars", () => {
  it.skipIf(go === undefined)("are read as Go reads them", async () => {
    const wanted = await readWithGo(archives.map(({ bytes }) => bytes));
    expect(archives.length).toBeGreaterThan(8);
    for (const [i, { maker, bytes }] of archives.entries()) {
      const read = readWithParser(bytes);
      const [ours, theirs] = [read.entries.map(comparable), wanted[i]?.entries.map(comparable)];
      expect({ maker, error: read.error, entries: ours }).toEqual({ maker, error: "", entries: theirs });
      expect(ours.length).toBeGreaterThan(3);
    }
  });

  it("give up every byte exactly once, at any chunking", () => {
    for (const { maker, bytes } of archives) {
      for (const step of [1, 511, 513, 4096, 1 << 20]) {
        if (step === 1 && bytes.length > 50_000) continue;
        const seen: Uint8Array[] = [];
        const keep = (piece: Uint8Array): void => void seen.push(Buffer.from(piece));
        const parser = new TarParser({ raw: keep, data: keep, entry() {}, endEntry() {} });
        for (let at = 0; at < bytes.length; at += step) parser.write(bytes.subarray(at, at + step));
        parser.end();
        expect({ maker, step, same: Buffer.concat(seen).equals(bytes) }).toEqual({ maker, step, same: true });
      }
    }
  });

  it.skipIf(go === undefined)("are read and refused as in Go when they are broken", { timeout: 120_000 }, async () => {
    const random = randomFrom(20_260_801);
    const small = archives.map(({ bytes }) => firstMembers(bytes, 40_000));
    const broken = Array.from({ length: 1000 }, () => mutate(small[random(small.length)] ?? Buffer.alloc(0), random));
    const wanted = await readWithGo(broken);
    // What is stricter here: numbers beyond 2^53, types that no engine applies, NULs in sparse names, lying maps.
    const stricter = /absurd|unknown type flag|sparse map|holds a NUL/;
    let bothRead = 0;
    for (const [i, bytes] of broken.entries()) {
      const read = readWithParser(bytes, 1 + random(5000));
      const other = wanted[i] as ReadArchive;
      if (stricter.test(read.error)) continue;
      // Go tells of a member before its payload turns out to be cut short.
      const told = read.error === "" ? other.entries : other.entries.slice(0, read.entries.length);
      const isRead = read.error === "";
      const ours = { i, isRead, entries: read.entries.map(comparable) };
      expect(ours).toEqual({ i, isRead: other.error === "", entries: told.map(comparable) });
      expect(other.entries.length - told.length).toBeLessThanOrEqual(1);
      if (read.error === "") bothRead++;
    }
    expect(bothRead).toBeGreaterThan(300);
  });
});

const SAMPLE: readonly TarEntryInit[] = [
  { type: "directory", name: "dir/", mode: 0o1777 },
  {
    type: "file",
    name: "dir/file",
    size: 700,
    mode: 0o4755,
    uid: 1000,
    gid: 100,
    userName: "user",
    groupName: "users",
  },
  { type: "file", name: `${"long/".repeat(30)}${"n".repeat(99)}`, size: 1 },
  { type: "file", name: `dir/${"n".repeat(200)}`, size: 513 },
  { type: "file", name: "größe/日本", size: 0, uid: 2 ** 22 },
  { type: "symlink", name: "soft", linkName: "../".repeat(60) },
  { type: "link", name: "hard", linkName: "dir/file" },
  { type: "fifo", name: "fifo", modifiedAt: { seconds: 1_700_000_000, nanoseconds: 0 } },
];
const PAX_ONLY: readonly TarEntryInit[] = [
  {
    type: "file",
    name: "xattr",
    size: 3,
    xattrs: new Map([
      ["user.b", Buffer.from("\0\xff", "latin1")],
      ["user.a", Buffer.from("a=b\n")],
    ]),
  },
  { type: "file", name: "nano", size: 0, modifiedAt: { seconds: 1_700_000_000, nanoseconds: 123_456_789 } },
];
const DEVICES: readonly TarEntryInit[] = [
  { type: "char", name: "null", deviceMajor: 1, deviceMinor: 3 },
  { type: "block", name: "loop", deviceMajor: 7, deviceMinor: 70_000 },
];

function archiveOf(entries: readonly TarEntryInit[], format: TarFormat): Buffer {
  const blocks = entries.flatMap((entry) => {
    const size = entry.size ?? 0;
    return [encodeTarEntry(entry, { format }), Buffer.alloc(size, "c"), tarPadding(size)];
  });
  return Buffer.concat([...blocks, TAR_END]);
}

describe.each(["pax", "gnu"] as const)("what is written in the %s format", (format) => {
  const extra = format === "pax" ? PAX_ONLY : [];
  const everything = archiveOf([...SAMPLE, ...DEVICES, ...extra], format);
  const plain = archiveOf([...SAMPLE, ...extra], format);

  it.skipIf(go === undefined)("Go reads the same", async () => {
    const [read] = await readWithGo([everything]);
    expect(read).toEqual({ error: "", entries: readWithParser(everything).entries });
  });

  it.skipIf(python === undefined)("Python reads the same", async () => {
    const script = join(import.meta.dirname, "read-tar.py");
    const [read] = await readWith([python ?? "", script], [everything], work.path);
    const wanted = readWithParser(everything).entries.map((entry) =>
      Object.assign({}, entry, { name: entry.name.replace(/\/$/, ""), nanos: 0, xattrs: {} }),
    );
    expect(read).toEqual({ error: "", entries: wanted });
  });

  it("tar-stream reads the same", async () => {
    const reader = extract();
    reader.end(everything);
    const read: unknown[] = [];
    for await (const entry of reader) {
      const { name, linkname, size, mode, uid, gid, mtime, type } = entry.header;
      const seconds = Math.floor((mtime?.getTime() ?? 0) / 1000);
      read.push({ name, link: linkname ?? "", size, mode, uid: uid === 0 ? undefined : uid, gid, seconds, type });
      entry.resume();
    }
    const types = ["file", "link", "symlink", "character-device", "block-device", "directory", "fifo"];
    const wanted = readWithParser(everything).entries.map(({ name, link, size, mode, uid, gid, seconds, flag }) => {
      // It overlooks the uid of a PAX header.
      const known = uid === 0 || (format === "pax" && uid >= 8 ** 7) ? undefined : uid;
      return { name, link, size, mode, uid: known, gid, seconds, type: types[flag - 0x30] };
    });
    expect(read).toEqual(wanted);
  });

  it.each([["tar", gnuTar] as const, ["bsdtar", bsdtar] as const])("%s unpacks the same", async (name, program) => {
    if (program === undefined) return;
    const target = join(work.path, `unpacked-${format}-${name}`);
    await mkdir(target);
    await writeFile(join(work.path, "plain.tar"), plain);
    run(program, ["-x", "-p", "--numeric-owner", "-f", join(work.path, "plain.tar"), "-C", target]);
    const isRoot = process.getuid?.() === 0;
    for (const entry of readWithParser(plain).entries) {
      const path = join(target, entry.name);
      const stat = lstatSync(path, { bigint: true });
      if (entry.flag === 0x32) expect(readlinkSync(path)).toBe(entry.link);
      if (entry.flag === 0x31) expect(stat.ino).toBe(lstatSync(join(target, entry.link), { bigint: true }).ino);
      if (entry.flag === 0x31 || entry.flag === 0x32) continue;
      expect(Number(stat.mode) & 0o7777).toBe(entry.mode);
      if (isRoot) expect([Number(stat.uid), Number(stat.gid)]).toEqual([entry.uid, entry.gid]);
      if (entry.flag !== 0x35) expect(stat.mtimeNs).toBe(BigInt(entry.seconds) * 1_000_000_000n + BigInt(entry.nanos));
      if (entry.flag === 0x30) expect(readFileSync(path).equals(Buffer.alloc(entry.size, "c"))).toBe(true);
    }
  });
});
