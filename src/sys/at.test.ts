import { closeSync, constants, lstatSync, mkdirSync, openSync, readFileSync, renameSync, symlinkSync } from "node:fs";
import { constants as system } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { AT_FDCWD, atCalls, OPEN_DIRECTORY, type AtCalls, type FileStatus } from "./at.ts";
import { procAtCalls } from "./at-proc.ts";
import { must } from "./errno.ts";
import { withoutFfi } from "./libc.ts";

const { EEXIST, ENOENT, ENOTDIR, ENOTEMPTY, EINVAL, EOPNOTSUPP, EISDIR } = system.errno;
const isRoot = process.getuid?.() === 0;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
const ODD = "caf\udce9 \u{1F9A6}";

interface Place extends AsyncDisposable {
  readonly at: AtCalls;
  readonly fd: number;
  readonly path: string;
}

async function place(native: boolean): Promise<Place> {
  const forced = native ? undefined : withoutFfi();
  const at = atCalls();
  forced?.[Symbol.dispose]();
  const dir = await tempDir();
  const fd = must(at.open(AT_FDCWD, dir.path, constants.O_RDONLY | constants.O_DIRECTORY, 0), "open");
  const dispose = async (): Promise<void> => {
    at.close(fd);
    await dir[Symbol.asyncDispose]();
  };
  return { at, fd, path: dir.path, [Symbol.asyncDispose]: dispose };
}

function status(found: FileStatus | number): FileStatus {
  if (typeof found === "number") throw new Error(`stat said ${found}`);
  return found;
}

function make(at: AtCalls, fd: number, name: string, text: string): void {
  const file = must(at.open(fd, name, NEW_FILE, 0o644), "open");
  must(at.write(file, Buffer.from(text)), "write");
  must(at.close(file), "close");
}

describe.each([
  { how: "foreign calls", native: true },
  { how: "plain Node", native: false },
])("at-calls by $how", ({ native }) => {
  it("make, read and remove each kind of name, answering as the kernel does", async () => {
    await using p = await place(native);
    const { at, fd } = p;
    expect(at.native).toBe(native);
    expect(at.mkdir(fd, "d", 0o755)).toBe(0);
    expect(at.mkdir(fd, "d", 0o755)).toBe(-EEXIST);
    expect(at.mkdir(fd, "no/d", 0o755)).toBe(-ENOENT);
    make(at, fd, "f", "hello");
    expect(at.open(fd, "f", NEW_FILE, 0o644)).toBe(-EEXIST);
    expect(at.symlink("f", fd, "l")).toBe(0);
    expect(at.readlink(fd, "l")).toBe("f");
    expect(at.readlink(fd, "f")).toBe(-EINVAL);
    expect(at.readlink(fd, "none")).toBe(-ENOENT);
    expect(at.link(fd, "f", fd, "h")).toBe(0);
    expect(status(at.stat(fd, "h")).links).toBe(2);
    expect(at.rename(fd, "h", fd, "h2")).toBe(0);
    expect(at.unlink(fd, "d")).toBe(-EISDIR);
    expect(at.rmdir(fd, "f")).toBe(-ENOTDIR);
    expect(at.rmdir(fd, ".")).toBe(-EINVAL);
    const inner = must(at.open(fd, "d", OPEN_DIRECTORY, 0), "open");
    make(at, inner, "x", "");
    expect(at.rmdir(fd, "d")).toBe(-ENOTEMPTY);
    expect([at.unlink(inner, "x"), at.rmdir(fd, "d"), at.unlink(fd, "h2"), at.unlink(fd, "l")]).toEqual([0, 0, 0, 0]);
    expect(at.unlink(fd, "l")).toBe(-ENOENT);
    at.close(inner);
  });

  it("carry names that are not UTF-8", async () => {
    await using p = await place(native);
    make(p.at, p.fd, ODD, "odd");
    const bytes = Buffer.concat([Buffer.from(`${p.path}/caf`), Buffer.of(0xe9), Buffer.from(" \u{1F9A6}")]);
    expect(readFileSync(bytes, "utf8")).toBe("odd");
    expect(p.at.symlink(ODD, p.fd, "l")).toBe(0);
    expect(p.at.readlink(p.fd, "l")).toBe(ODD);
  });

  it("open only directories as directories, and no link", async () => {
    await using p = await place(native);
    mkdirSync(join(p.path, "d"));
    symlinkSync("d", join(p.path, "l"));
    make(p.at, p.fd, "f", "");
    const fd = p.at.open(p.fd, "d", OPEN_DIRECTORY, 0);
    expect(fd).toBeGreaterThan(2);
    p.at.close(fd);
    expect(p.at.open(p.fd, "l", OPEN_DIRECTORY, 0)).toBe(-ENOTDIR);
    expect(p.at.open(p.fd, "f", OPEN_DIRECTORY, 0)).toBe(-ENOTDIR);
  });

  it("go on working in a directory that was moved and replaced by a link", async () => {
    await using p = await place(native);
    mkdirSync(join(p.path, "d"));
    mkdirSync(join(p.path, "elsewhere"));
    const fd = must(p.at.open(p.fd, "d", OPEN_DIRECTORY, 0), "open");
    renameSync(join(p.path, "d"), join(p.path, "moved"));
    symlinkSync("elsewhere", join(p.path, "d"));
    make(p.at, fd, "f", "x");
    expect(readFileSync(join(p.path, "moved/f"), "utf8")).toBe("x");
    p.at.close(fd);
  });

  it("write at the offset and at positions, and cut or lengthen", async () => {
    await using p = await place(native);
    const file = must(p.at.open(p.fd, "f", NEW_FILE, 0o600), "open");
    expect(p.at.write(file, Buffer.from("abc"))).toBe(3);
    expect(p.at.write(file, Buffer.from("xdefx").subarray(1, 4))).toBe(3);
    expect(p.at.write(file, Buffer.from("Z"), 5_000_000_000)).toBe(1);
    expect(status(p.at.stat(file, "")).size).toBe(5_000_000_001);
    expect(p.at.truncate(file, 6)).toBe(0);
    expect(p.at.close(file)).toBe(0);
    expect(readFileSync(join(p.path, "f"), "utf8")).toBe("abcdef");
  });

  it("set modes, never through a link", async () => {
    await using p = await place(native);
    make(p.at, p.fd, "f", "");
    symlinkSync("f", join(p.path, "l"));
    expect(p.at.chmod(p.fd, "f", 0o4711)).toBe(0);
    expect(status(p.at.stat(p.fd, "f")).mode & 0o7777).toBe(0o4711);
    expect(p.at.chmod(p.fd, "l", 0o600)).toBe(-EOPNOTSUPP);
    expect(status(p.at.stat(p.fd, "f")).mode & 0o7777).toBe(0o4711);
    expect(p.at.chmod(p.fd, "", 0o711)).toBe(0);
    expect(status(p.at.stat(p.fd, "")).mode & 0o7777).toBe(0o711);
    const file = openSync(join(p.path, "f"), "r");
    expect(p.at.fileChmod(file, 0o640)).toBe(0);
    closeSync(file);
    expect(status(p.at.stat(p.fd, "f")).mode & 0o7777).toBe(0o640);
  });

  it("set times of files and links, before 1970 and after 2038, to the nanosecond where the calls can", async () => {
    await using p = await place(native);
    make(p.at, p.fd, "f", "");
    symlinkSync("f", join(p.path, "l"));
    const [atime, mtime] = [
      { seconds: 4_000_000_000, nanoseconds: 123_456_789 },
      { seconds: 1_600_000_000, nanoseconds: 999_999_999 },
    ];
    const rounded = (ns: bigint): bigint => (p.at.exactTimes ? ns : ns / 1_000n / 10n);
    expect(p.at.setTimes(p.fd, "l", atime, mtime)).toBe(0);
    const file = openSync(join(p.path, "f"), "r");
    expect(p.at.fileSetTimes(file, atime, mtime)).toBe(0);
    closeSync(file);
    for (const name of ["l", "f"]) {
      const { atimeNs, mtimeNs } = lstatSync(join(p.path, name), { bigint: true });
      expect(rounded(atimeNs)).toBe(rounded(4_000_000_000_123_456_789n));
      expect(Number(mtimeNs - 1_600_000_000_999_999_999n)).toBeCloseTo(0, p.at.exactTimes ? 5 : -4);
    }
    expect(p.at.setTimes(p.fd, "f", { seconds: -2, nanoseconds: 5e8 }, { seconds: -1, nanoseconds: 0 })).toBe(0);
    expect(lstatSync(join(p.path, "f")).mtimeMs).toBe(-1000);
    expect(status(p.at.stat(p.fd, "f")).accessedAt).toEqual({ seconds: -2, nanoseconds: 5e8 });
  });

  it("say of a file what lstat says", async () => {
    await using p = await place(native);
    make(p.at, p.fd, "f", "12345");
    const seen = status(p.at.stat(p.fd, "f"));
    const real = lstatSync(join(p.path, "f"), { bigint: true });
    expect(seen).toMatchObject({
      mode: Number(real.mode),
      uid: Number(real.uid),
      gid: Number(real.gid),
      links: 1,
      size: 5,
    });
    expect([seen.device, seen.inode]).toEqual([real.dev, real.ino]);
    expect(BigInt(seen.modifiedAt.seconds) * 1_000_000_000n + BigInt(seen.modifiedAt.nanoseconds)).toBe(real.mtimeNs);
    expect(status(p.at.stat(p.fd, "")).inode).toBe(lstatSync(p.path, { bigint: true }).ino);
  });

  it.skipIf(!isRoot)("set owners, of links too, up to the highest id (needs root)", async () => {
    await using p = await place(native);
    make(p.at, p.fd, "f", "");
    symlinkSync("f", join(p.path, "l"));
    expect(p.at.chown(p.fd, "l", 4_294_967_294, 7)).toBe(0);
    expect(status(p.at.stat(p.fd, "l"))).toMatchObject({ uid: 4_294_967_294, gid: 7 });
    expect(status(p.at.stat(p.fd, "f"))).toMatchObject({ uid: 0, gid: 0 });
    const file = openSync(join(p.path, "f"), "r");
    expect(p.at.fileChown(file, 5, 6)).toBe(0);
    closeSync(file);
    expect(status(p.at.stat(p.fd, "f"))).toMatchObject({ uid: 5, gid: 6 });
  });

  it.skipIf(!isRoot)("make fifos and devices of any number, or say that they cannot (needs root)", async () => {
    await using p = await place(native);
    const fifo = p.at.mknod(p.fd, "p", constants.S_IFIFO | 0o600, 0, 0);
    const device = p.at.mknod(p.fd, "c", constants.S_IFCHR | 0o600, 0xfff, 0xfffff);
    if (!native) return expect([fifo, device]).toEqual([-system.errno.ENOSYS, -system.errno.ENOSYS]);
    expect([fifo, device]).toEqual([0, 0]);
    expect(lstatSync(join(p.path, "p")).isFIFO()).toBe(true);
    expect(lstatSync(join(p.path, "c")).rdev).toBe(0xffffffff);
    for (const at of [p.at, procAtCalls]) {
      expect(status(at.stat(p.fd, "c"))).toMatchObject({ deviceMajor: 0xfff, deviceMinor: 0xfffff });
      expect(status(at.stat(p.fd, "p"))).toMatchObject({ deviceMajor: 0, deviceMinor: 0 });
    }
  });
});
