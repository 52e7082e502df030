/** Both ways with Debian's `rdiff`: what it writes is read, and what is written it reads. */
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DeltaWriter } from "../../codec/librsync/delta-writer.ts";
import { STRONG_SUMS, WEAK_SUMS } from "../../codec/librsync/kinds.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { run, runOk } from "../../../test/kit/peers/run.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { rdiffDelta, rdiffDiff, rdiffPatch, rdiffSignature } from "./rdiff.ts";

const rdiff = findPeer("rdiff");

function random(length: number, seed: number): Buffer {
  let state = seed;
  return Buffer.from(
    Uint8Array.from({ length }, () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) >>> 24),
  );
}

const NOISE = random(200_000, 1);
const TEXT = Buffer.from(
  Array.from({ length: 9000 }, (_, line) => `${line * line} is the square of ${line}\n`).join(""),
);

/** What a file was, and what it is. */
const PAIRS: Readonly<Record<string, readonly [base: Buffer, target: Buffer]>> = {
  "both empty": [Buffer.alloc(0), Buffer.alloc(0)],
  "from nothing": [Buffer.alloc(0), NOISE.subarray(0, 100)],
  "to nothing": [NOISE.subarray(0, 1000), Buffer.alloc(0)],
  "one byte": [Buffer.from("a"), Buffer.from("a")],
  "less than a block": [Buffer.from("hello"), Buffer.from("Xhello")],
  moved: [NOISE, Buffer.concat([NOISE.subarray(120_001), Buffer.from("between"), NOISE.subarray(0, 120_001)])],
  "a last block that is short": [
    NOISE.subarray(0, 100_100),
    Buffer.concat([random(33, 2), NOISE.subarray(50_000, 100_100)]),
  ],
  "lines changed": [TEXT, Buffer.from(TEXT.toString().replaceAll("77", "seventy-seven"))],
  zeros: [Buffer.alloc(100_000), Buffer.alloc(70_001)],
  "no relation": [NOISE, random(50_000, 5)],
};

const KINDS = WEAK_SUMS.flatMap((weak) => STRONG_SUMS.map((strong) => ({ weak, strong })));
const SIZES = [{}, { blockBytes: 431 }, { blockBytes: 777 }, { blockBytes: 512, strongBytes: 8 }] as const;

describe.skipIf(rdiff === undefined)("rdiff", () => {
  const program = rdiff ?? "";

  it.each(Object.entries(PAIRS))("%s", async (name, [base, target]) => {
    await using dir = await tempDir();
    const [old, fresh, ours, theirs, delta, made] = "old new ours theirs delta made".split(" ").map((name) => {
      return join(dir.path, name);
    }) as [string, string, string, string, string, string];
    await writeFile(old, base);
    await writeFile(fresh, target);
    const expectMade = async (): Promise<void> => {
      expect(Buffer.compare(await readFile(made), target)).toBe(0);
    };
    const turn = Object.keys(PAIRS).indexOf(name);
    for (const [number, kind] of KINDS.entries()) {
      // Over all pairs, each kind with each size.
      const size: { blockBytes?: number; strongBytes?: number } = SIZES[(number + turn) % SIZES.length]!;
      const flags = ["-f", "-H", kind.strong, "-R", kind.weak];
      if (size.blockBytes !== undefined) flags.push("-b", String(size.blockBytes));
      if (size.strongBytes !== undefined) flags.push("-S", String(size.strongBytes));
      await runOk(program, [...flags, "signature", old, theirs]);
      await rdiffSignature(old, ours, { ...kind, ...size, force: true, sync: false });
      expect(Buffer.compare(await readFile(ours), await readFile(theirs))).toBe(0);
      await runOk(program, ["-f", "delta", ours, fresh, delta]);
      await rdiffPatch(old, delta, made, { force: true, sync: false });
      await expectMade();
      await rdiffDelta(theirs, fresh, delta, { force: true, sync: false });
      await runOk(program, ["-f", "patch", old, delta, made]);
      await expectMade();
    }
    await rdiffDiff(old, fresh, delta, { force: true, sync: false });
    await runOk(program, ["-f", "patch", old, delta, made]);
    await expectMade();
  });

  it("deltas from one signature are the same to the byte where no blocks are equal", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    const [base, target] = PAIRS["moved"]!;
    await writeFile(path("old"), base);
    await writeFile(path("new"), target);
    await runOk(program, ["-b", "512", "signature", path("old"), path("sig")]);
    await runOk(program, ["delta", path("sig"), path("new"), path("theirs")]);
    await rdiffDelta(path("sig"), path("new"), path("ours"));
    expect((await readFile(path("ours"))).toString("hex")).toBe((await readFile(path("theirs"))).toString("hex"));
  });

  it("copies from beyond 4 GiB of a file with holes", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    const far = 2 ** 32 + 777;
    await using file = await open(path("old"), "w+");
    await file.write(NOISE, 0, 10_000, far);
    const writer = new DeltaWriter();
    writer.copy(far + 5, 9000);
    writer.literal(Buffer.from("and"));
    writer.copy(far - 100, 200);
    writer.end();
    await writeFile(path("delta"), writer.take());
    await runOk(program, ["patch", path("old"), path("delta"), path("theirs")]);
    await rdiffPatch(path("old"), path("delta"), path("ours"));
    const expected = [NOISE.subarray(5, 9005), Buffer.from("and"), Buffer.alloc(100), NOISE.subarray(0, 100)];
    for (const made of ["theirs", "ours"]) {
      expect(Buffer.compare(await readFile(path(made)), Buffer.concat(expected))).toBe(0);
    }
  });

  it.each(["45000000", "4100", "55", "45010500", "450005"])("refuses what is refused here: %s", async (commands) => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    await writeFile(path("old"), "hello");
    await writeFile(path("delta"), Buffer.from(`72730236${commands}`, "hex"));
    expect((await run(program, ["patch", path("old"), path("delta"), path("made")])).code).toBeGreaterThan(0);
    const work = rdiffPatch(path("old"), path("delta"), path("other"));
    await expect(work).rejects.toMatchObject({ code: expect.stringMatching(/^DELTA_/) });
  });
});
