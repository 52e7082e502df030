/** `varve disk copy` as users run it: what it prints, and what it leaves behind when it is stopped or killed. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DiskCopy } from "../../src/disk/copy-report.ts";
import { mountTmpfs } from "../kit/disk/file-systems.ts";
import { haveSameBytes, makeSparse, MIB } from "../kit/disk/sparse-file.ts";
import { canMount } from "../kit/mounts/can-mount.ts";
import { runVarve, startVarve } from "../kit/peers/varve.ts";
import { tempDir } from "../kit/temp-dir.ts";

const GIB = 2 ** 30;

describe("varve disk copy", () => {
  it("copies, says what the copy takes, and makes no store", async () => {
    await using dir = await tempDir();
    const [from, to, root] = [join(dir.path, "a.img"), join(dir.path, "b.img"), join(dir.path, "store")];
    makeSparse(from, 50 * MIB, [[MIB, 3 * MIB]]);
    const args = ["disk", "copy", from, to, "--no-reflink"];
    const plain = await runVarve([...args, "--verify"], { root });
    expect(plain).toMatchObject({ code: 0, stderr: "" });
    expect(plain.stdout.toString()).toMatch(
      /: copied to .*b\.img, compared\n {2}length {4}52\.4 MB, takes 3\.15 MB \(3\.15 MB at the source\)\n {2}content {3}3\.15 MB copied, 49\.3 MB holes in /,
    );
    expect(haveSameBytes(from, to)).toBe(true);
    const json = await runVarve([...args, "--json", "--sparse", "never"], { root });
    expect(JSON.parse(json.stdout.toString()) as DiskCopy).toMatchObject({
      logicalBytes: 50 * MIB,
      copiedBytes: 50 * MIB,
      holeBytes: 0,
      holesBy: null,
      verified: false,
      warnings: [],
    });
    expect(readdirSync(dir.path).sort()).toEqual(["a.img", "b.img"]);
  });

  it("says what is wrong with how it is called", async () => {
    const lacking = await runVarve(["disk", "copy", "a.img"]);
    expect(lacking.code).toBe(2);
    expect(lacking.stderr).toContain("write it as: varve disk copy SRC DST");
    expect((await runVarve(["disk", "copy", "a", "b", "--sparse", "some"])).code).toBe(2);
    expect((await runVarve(["disk", "melt"])).stderr).toContain("ACTION takes one of");
    expect((await runVarve(["disk", "copy", "/no/such/file", "b"])).code).toBe(3);
  });

  it("is completed", async () => {
    const offered = async (...words: string[]): Promise<string> =>
      (await runVarve(["__complete", "--", ...words])).stdout.toString();
    expect(await offered("disk", "c")).toContain("copy");
    expect(await offered("disk", "copy", "")).toMatch(/^file\n/);
    expect(await offered("disk", "copy", "--sparse", "a")).toContain("always");
  });
});

describe.skipIf(!canMount())("varve disk copy that does not come to its end", () => {
  /** A source that takes seconds to be read and no space: holes that nobody tells of, in memory. */
  const slowly = { env: { VARVE_NO_FFI: "1" } };

  it("leaves nothing when it is stopped, and what it leaves when it is killed is gone after the next one", async () => {
    await using memory = await mountTmpfs("64m");
    await using dir = await tempDir();
    const [from, to] = [join(memory.path, "a.img"), join(dir.path, "b.img")];
    makeSparse(from, 16 * GIB, [[5 * MIB, MIB]]);
    const args = ["disk", "copy", from, to, "--progress", "json"];
    await using stopped = startVarve(args, slowly);
    await stopped.output(/"phase":"copying"/);
    stopped.kill("SIGINT");
    const { code, stdout, stderr } = await stopped.result;
    expect({ code, said: stdout.toString() }).toEqual({ code: 130, said: "" });
    expect(stderr).toContain("varve: INTERRUPTED: stopped");
    expect(readdirSync(dir.path)).toEqual([]);

    await using killed = startVarve(args, slowly);
    await killed.output(/"phase":"copying"/);
    killed.kill("SIGKILL");
    await killed.result;
    expect(readdirSync(dir.path)).toEqual([expect.stringMatching(/^\.varve-copy-/)]);
    expect((await runVarve(args)).code).toBe(0);
    expect(readdirSync(dir.path)).toEqual(["b.img"]);
    expect(haveSameBytes(from, to)).toBe(true);
  });

  it("says that a file in place is written in part", async () => {
    await using memory = await mountTmpfs("64m");
    await using dir = await tempDir();
    mkdirSync(join(dir.path, "disks"));
    const [from, to] = [join(memory.path, "a.img"), join(dir.path, "disks/b.img")];
    makeSparse(from, 16 * GIB);
    makeSparse(to, MIB, [[0, MIB]]);
    await using stopped = startVarve(["disk", "copy", "--in-place", from, to, "--progress", "json"], slowly);
    await stopped.output(/"phase":"copying"/);
    stopped.kill("SIGINT");
    const { code, stderr } = await stopped.result;
    expect(code).toBe(130);
    expect(stderr).toMatch(/the file .*b\.img is written in part/);
  });
});
