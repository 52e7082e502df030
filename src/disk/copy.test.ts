/** Sources that change, targets of every kind, and disks that are full: what holds besides the bytes. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mountTmpfs } from "../../test/kit/disk/file-systems.ts";
import { allocated, haveSameBytes, KIB, makeSparse, MIB } from "../../test/kit/disk/sparse-file.ts";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { ProgressEvent } from "../recipe/progress.ts";
import { tryLock } from "../sys/flock.ts";
import { COPY_CALLS, type CopyCalls } from "./copy-calls.ts";
import { copyDisk } from "./copy.ts";

/** Does something when the first byte has been written. */
function during(work: () => void): CopyCalls {
  let done = false;
  return {
    ...COPY_CALLS,
    write: async (...args) => {
      const written = await COPY_CALLS.write(...args);
      if (!done) work();
      done = true;
      return written;
    },
  };
}

describe("a source", () => {
  const changes: Readonly<Record<string, (path: string) => void>> = {
    grows: (path) => appendFileSync(path, "more"),
    shrinks: (path) => truncateSync(path, MIB),
    "is written to": (path) => writeFileSync(path, "other", { flag: "r+" }),
    "is replaced": (path) => {
      writeFileSync(`${path} new`, "new");
      renameSync(`${path} new`, path);
    },
  };

  it.each(Object.entries(changes))("that %s meanwhile is an error, and nothing is left", async (_, change) => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "source"), join(dir.path, "target")];
    makeSparse(from, 8 * MIB, [[0, 8 * MIB]]);
    await expect(
      copyDisk(
        from,
        to,
        {},
        during(() => change(from)),
      ),
    ).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    expect(readdirSync(dir.path)).toEqual(["source"]);
  });

  const python = findPeer("python3");
  it.skipIf(python === undefined)("is copied with what was written to its memory only", async () => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "source"), join(dir.path, "target")];
    makeSparse(from, 4 * MIB);
    const script = `import mmap,os,sys
f=open(sys.argv[1],"r+b"); m=mmap.mmap(f.fileno(),0)
m[1048576:1048580]=b"mine"; os._exit(0)`;
    await runOk(python!, ["-c", script, from]);
    await copyDisk(from, to, { verify: true });
    expect(
      readFileSync(to)
        .subarray(MIB, MIB + 4)
        .toString(),
    ).toBe("mine");
    expect(allocated(to)).toBeLessThanOrEqual(64 * KIB);
  });

  it("has to be a file that is there", async () => {
    await using dir = await tempDir();
    const to = join(dir.path, "target");
    await expect(copyDisk(join(dir.path, "none"), to)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(copyDisk(dir.path, to)).rejects.toMatchObject({ code: "PATH_INVALID" });
    await expect(copyDisk("/dev/zero", to)).rejects.toMatchObject({ code: "PATH_INVALID" });
  });
});

describe("a target", () => {
  it("is not the source, under whatever name", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "source");
    writeFileSync(from, "disk");
    linkSync(from, join(dir.path, "link"));
    symlinkSync("source", join(dir.path, "symbolic"));
    for (const name of ["source", "link", "symbolic"]) {
      await expect(copyDisk(from, join(dir.path, name))).rejects.toMatchObject({ code: "PATH_INVALID" });
    }
    expect(readFileSync(from, "utf8")).toBe("disk");
  });

  it("is a file or a device, in a directory that is there", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "source");
    writeFileSync(from, "disk");
    await expect(copyDisk(from, dir.path)).rejects.toMatchObject({ code: "PATH_INVALID", hint: "name the file in it" });
    await expect(copyDisk(from, "/dev/null")).rejects.toMatchObject({ code: "PATH_INVALID" });
    await expect(copyDisk(from, join(dir.path, "no/where"))).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });

  it("whose directory goes meanwhile is an error", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "source");
    makeSparse(from, 4 * MIB, [[0, 4 * MIB]]);
    mkdirSync(join(dir.path, "gone"));
    const calls = during(() => rmSync(join(dir.path, "gone"), { recursive: true }));
    await expect(copyDisk(from, join(dir.path, "gone/target"), {}, calls)).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
  });

  it("that is a link stays one, and what it names is replaced; permissions are those of what was there, or of the source", async () => {
    await using dir = await tempDir();
    const [from, to, link] = [join(dir.path, "source"), join(dir.path, "target"), join(dir.path, "link")];
    writeFileSync(from, "disk");
    chmodSync(from, 0o600);
    writeFileSync(to, "old", { mode: 0o444 });
    symlinkSync("target", link);
    await copyDisk(from, link);
    expect(readFileSync(to, "utf8")).toBe("disk");
    expect(statSync(to).mode & 0o777).toBe(0o444);
    await copyDisk(from, join(dir.path, "new"));
    expect(statSync(join(dir.path, "new")).mode & 0o777).toBe(0o600);
  });

  it("gets rid of what a killed copy has left, and not of what a running one has", async () => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "source"), join(dir.path, "target")];
    makeSparse(from, MIB, [[0, MIB]]);
    let name = "";
    await copyDisk(
      from,
      to,
      {},
      during(() => {
        name = readdirSync(dir.path).find((one) => one.startsWith(".varve-copy-")) ?? "";
      }),
    );
    const [left, other, foreign] = [name, `${name}1`, ".varve-copy-0123-of-another"];
    for (const one of [left, other, foreign]) writeFileSync(join(dir.path, one), "part");
    using _running = tryLock(join(dir.path, other));
    await copyDisk(from, to);
    expect(readdirSync(dir.path).sort()).toEqual([other, foreign, "source", "target"].sort());
  });
});

describe("a copy that is stopped", () => {
  it("leaves nothing, at once", async () => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "source"), join(dir.path, "target")];
    makeSparse(from, 8 * MIB, [[0, 8 * MIB]]);
    const stop = new AbortController();
    const calls = during(() => {
      stop.abort(new Error("enough"));
      expect(readdirSync(dir.path)).toEqual(["source"]);
    });
    await expect(copyDisk(from, to, { signal: stop.signal }, calls)).rejects.toThrow("enough");
    expect(existsSync(to)).toBe(false);
  });

  it("is not begun", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "source");
    writeFileSync(from, "disk");
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(copyDisk(from, join(dir.path, "target"), { signal })).rejects.toThrow("enough");
    expect(readdirSync(dir.path)).toEqual(["source"]);
  });
});

it("progress ends with all of the length", async () => {
  await using dir = await tempDir();
  const [from, to] = [join(dir.path, "source"), join(dir.path, "target")];
  makeSparse(from, 9 * MIB, [[MIB, 5 * MIB]]);
  const events: ProgressEvent[] = [];
  await copyDisk(from, to, { verify: true, onProgress: (event) => void events.push(event) });
  const last = (phase: string): ProgressEvent | undefined =>
    events.findLast((event) => event.type === "disk" && event.phase === phase);
  const whole = { path: to, done: 9 * MIB, total: 9 * MIB, etaSeconds: 0 };
  expect(last("copying")).toMatchObject({ ...whole, copied: 5 * MIB });
  expect(last("checking")).toMatchObject(whole);
  expect(events.at(-1)).toMatchObject({ type: "disk", phase: "done", ...whole });
});

describe.skipIf(!canMount())("on a small disk", () => {
  it("what does not fit is refused, or fails when it is full all the same; between file systems, both ways", async () => {
    await using dir = await tempDir();
    await using small = await mountTmpfs("8m");
    const [from, to] = [join(dir.path, "source"), join(small.path, "target")];
    makeSparse(from, 100 * MIB, [[MIB, 9 * MIB]]);
    await expect(copyDisk(from, to)).rejects.toMatchObject({ code: "NO_SPACE", detail: { needed: 9 * MIB } });
    const blind: CopyCalls = { ...COPY_CALLS, freeSpace: () => Promise.resolve(undefined) };
    await expect(copyDisk(from, to, {}, blind)).rejects.toMatchObject({ code: "NO_SPACE" });
    expect(readdirSync(small.path)).toEqual([]);
    makeSparse(from, 100 * MIB, [[MIB, 7 * MIB]]);
    await copyDisk(from, to, { verify: true });
    expect(allocated(to)).toBeLessThanOrEqual(7 * MIB + 64 * KIB);
    const back = join(dir.path, "back");
    await copyDisk(to, back, { verify: true });
    expect(haveSameBytes(from, back)).toBe(true);
    expect(allocated(back)).toBeLessThanOrEqual(7 * MIB + 64 * KIB);
  });

  it("that may only be read nothing is written", async () => {
    await using dir = await tempDir();
    await using small = await mountTmpfs("8m");
    const [from, to] = [join(dir.path, "source"), join(small.path, "target")];
    makeSparse(from, MIB, [[0, MIB]]);
    makeSparse(to, 5);
    await runOk("mount", ["-o", "remount,ro", small.path]);
    await expect(copyDisk(from, to)).rejects.toMatchObject({
      code: "STORE_READ_ONLY",
      hint: "copy it to a file system that can be written",
    });
    await expect(copyDisk(from, to, { inPlace: true })).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
    // And from there it is copied, though it cannot be synced.
    await copyDisk(to, join(dir.path, "copy"), { verify: true });
  });
});
