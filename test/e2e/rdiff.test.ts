/** `varve rdiff` as users run it: files and streams, what it prints, what it refuses, and what it leaves behind. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DeltaResult, PatchResult, SignatureResult } from "../../src/index.ts";
import { runVarve, startVarve } from "../kit/peers/varve.ts";
import { tempDir } from "../kit/temp-dir.ts";

const OLD = Buffer.from(Array.from({ length: 5000 }, (_, line) => `line ${line} of ${line * line}\n`).join(""));
const NEW = Buffer.concat([
  Buffer.from("a title\n"),
  OLD.subarray(0, 50_001),
  Buffer.from("between"),
  OLD.subarray(50_001),
]);

/** A directory with an old and a new file, and varve in it. */
async function bench() {
  const dir = await tempDir();
  writeFileSync(join(dir.path, "old"), OLD);
  writeFileSync(join(dir.path, "new"), NEW);
  return {
    path: (name: string) => join(dir.path, name),
    bytes: (name: string) => readFileSync(join(dir.path, name)),
    names: () => readdirSync(dir.path).sort(),
    rdiff: (args: readonly string[], input?: Uint8Array) =>
      runVarve(["rdiff", ...args], { cwd: dir.path, ...(input !== undefined && { input }) }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

describe("varve rdiff", () => {
  it("goes from the old file to the new one, directly and by way of a signature", async () => {
    await using at = await bench();
    const direct = await at.rdiff(["diff", "old", "new", "delta"]);
    expect(direct).toMatchObject({ code: 0, stderr: "" });
    expect(direct.stdout.toString()).toMatch(/delta: 31 B, .* copied and 15 B new, 0% of what it makes, in /);
    const patched = await at.rdiff(["patch", "old", "delta", "made", "--json"]);
    expect(JSON.parse(patched.stdout.toString()) as PatchResult).toMatchObject({
      action: "patch",
      basis: at.path("old"),
      bytes: NEW.length,
      deltaBytes: at.bytes("delta").length,
    });
    expect(Buffer.compare(at.bytes("made"), NEW)).toBe(0);
    const signed = await at.rdiff("signature old sig -b 512 -S least -R rollsum --json".split(" "));
    expect(JSON.parse(signed.stdout.toString()) as SignatureResult).toMatchObject({
      action: "signature",
      blockBytes: 512,
      strongBytes: 6,
      weak: "rollsum",
      strong: "blake2",
      blocks: Math.ceil(OLD.length / 512),
    });
    expect(at.bytes("sig").toString("hex", 0, 12)).toBe("727301370000020000000006");
    const made = await at.rdiff(["delta", "sig", "new", "delta", "--force", "--json"]);
    const { copiedBytes, literalBytes, copies } = JSON.parse(made.stdout.toString()) as DeltaResult;
    expect([copiedBytes + literalBytes, copies]).toEqual([NEW.length, 2]);
    await at.rdiff(["patch", "old", "delta", "made", "-f"]);
    expect(Buffer.compare(at.bytes("made"), NEW)).toBe(0);
    expect(at.names()).toEqual(["delta", "made", "new", "old", "sig"]);
  });

  it("reads and writes standard streams", async () => {
    await using at = await bench();
    const signature = await at.rdiff(["signature", "-", "-", "-H", "md4"], OLD);
    expect(signature.stdout.toString("hex", 0, 12)).toBe("727301460000080000000010");
    const delta = await at.rdiff(["delta", "-", "new", "-"], signature.stdout);
    expect(delta).toMatchObject({ code: 0, stderr: "" });
    const made = await at.rdiff(["patch", "old", "-", "-"], delta.stdout);
    expect(Buffer.compare(made.stdout, NEW)).toBe(0);
    const direct = await at.rdiff(["diff", "old", "-", "delta", "-q"], NEW);
    expect(direct.stdout.toString()).toBe(`${at.bytes("delta").length}\n`);
    expect((await at.rdiff(["delta", "-", "-", "other"], NEW)).stderr).toContain(
      "standard input can be one of them only",
    );
    expect((await at.rdiff(["diff", "old", "new", "-", "--json"])).stdout.toString()).toContain("USAGE");
  });

  it("replaces nothing unless it is told to, and then only by what is whole", async () => {
    await using at = await bench();
    writeFileSync(at.path("there"), "precious");
    const refused = await at.rdiff(["diff", "old", "new", "there"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/FILE_EXISTS: .*there is there already\nhint: .*--force/);
    writeFileSync(at.path("broken"), Buffer.from("727302364500", "hex"));
    const broken = await at.rdiff(["patch", "old", "broken", "there", "--force"]);
    expect(broken).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("DELTA_INVALID: the delta ends too early"),
    });
    expect(at.bytes("there").toString()).toBe("precious");
    await at.rdiff(["diff", "old", "new", "delta"]);
    // The old file itself can be replaced, for it is read to the end first.
    expect((await at.rdiff(["patch", "old", "delta", "old", "--force"])).code).toBe(0);
    expect(Buffer.compare(at.bytes("old"), NEW)).toBe(0);
    expect(at.names()).toEqual(["broken", "delta", "new", "old", "there"]);
  });

  it("says what is wrong with how it is called, and with what it is given", async () => {
    await using at = await bench();
    const said = async (...args: string[]): Promise<string> => (await at.rdiff(args)).stderr;
    expect(await said("patch", "old", "new")).toContain("write it as: varve rdiff patch BASIS DELTA NEW");
    expect(await said("melt")).toContain("ACTION takes one of signature, delta, diff, patch");
    expect(await said("patch", "old", "new", "made", "-b", "512")).toContain("varve rdiff patch takes no --block-size");
    expect(await said("signature", "old", "sig", "-S", "33")).toContain("--sum-size takes a whole number from 0 to 32");
    expect(await said("signature", "old", "sig", "-S", "17", "-H", "md4")).toContain("at most 16 bytes");
    expect(await said("diff", "none", "new", "delta")).toContain("FILE_NOT_FOUND");
    expect(await said("diff", "-", "new", "delta")).toContain("FILE_NOT_FOUND");
    expect(await said("patch", "old", "new", "made")).toContain("DELTA_INVALID: the delta does not begin as deltas do");
    expect(await said("delta", "old", "new", "delta")).toContain("SIGNATURE_INVALID");
    expect(await said("diff", "old", ".", "delta")).toContain("PATH_INVALID");
    expect(at.names()).toEqual(["new", "old"]);
  });

  it("leaves nothing when it is stopped", async () => {
    await using at = await bench();
    // Of endless files, which are read for as long as the test likes.
    for (const args of [
      ["signature", "/dev/zero", at.path("made")],
      ["diff", at.path("old"), "/dev/zero", at.path("made")],
    ]) {
      await using program = startVarve(["rdiff", ...args]);
      await expect.poll(() => at.names().length, { timeout: 30_000 }).toBe(3);
      program.kill("SIGINT");
      expect((await program.result).code).toBe(130);
      expect(at.names()).toEqual(["new", "old"]);
    }
  });

  it("tells how far it is, for programs", async () => {
    await using at = await bench();
    const { stderr } = await at.rdiff(["diff", "old", "new", "delta", "--progress", "json"]);
    const last = JSON.parse(stderr.trimEnd().split("\n").at(-1)!) as object;
    expect(last).toMatchObject({ type: "disk", path: at.path("delta"), phase: "done", total: OLD.length + NEW.length });
  });
});
