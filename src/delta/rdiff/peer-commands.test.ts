/** Deltas command by command, as Debian's `rdiff` reads them and as they are read here: every command in every width, real files, and damaged ones. */
import * as fc from "fast-check";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DeltaWriter } from "../../codec/librsync/delta-writer.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { run, runOk } from "../../../test/kit/peers/run.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { rdiffDelta, rdiffDiff, rdiffPatch, rdiffSignature } from "./rdiff.ts";

const rdiff = findPeer("rdiff");
const MAGIC = Buffer.from("72730236", "hex");
const END = Buffer.of(0);
const AGAIN = { force: true, sync: false } as const;

/** A number in so many bytes. */
function number(value: number, width: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * width, "0"), "hex");
}

const WIDTHS = [1, 2, 4, 8];
const BASE = Buffer.from(Array.from({ length: 4000 }, (_, at) => (at * at + (at >> 3)) & 0xff));

/** All copies, and all literals, in all widths that there are. */
function everyCommand(): { readonly delta: Buffer; readonly made: Buffer } {
  const commands: Buffer[] = [];
  const made: Buffer[] = [];
  for (const [i, startWidth] of WIDTHS.entries()) {
    for (const [j, lengthWidth] of WIDTHS.entries()) {
      const [start, length] = [100 + 7 * i, 50 + 11 * j];
      commands.push(Buffer.of(0x45 + 4 * i + j), number(start, startWidth), number(length, lengthWidth));
      made.push(BASE.subarray(start, start + length));
    }
  }
  for (const [i, width] of WIDTHS.entries()) {
    const bytes = BASE.subarray(i, i + 3 + i);
    commands.push(Buffer.of(0x41 + i), number(bytes.length, width), bytes);
    made.push(bytes);
  }
  for (let length = 1; length <= 0x40; length++) {
    const bytes = BASE.subarray(length, 2 * length);
    commands.push(Buffer.of(length), bytes);
    made.push(bytes);
  }
  return { delta: Buffer.concat([MAGIC, ...commands, END]), made: Buffer.concat(made) };
}

describe.skipIf(rdiff === undefined)("rdiff", () => {
  const program = rdiff ?? "";

  it("makes the same of every command in every width", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    const { delta, made } = everyCommand();
    await writeFile(path("old"), BASE);
    await writeFile(path("delta"), delta);
    await runOk(program, ["patch", path("old"), path("delta"), path("theirs")]);
    await rdiffPatch(path("old"), path("delta"), path("ours"), AGAIN);
    expect(Buffer.compare(await readFile(path("theirs")), made)).toBe(0);
    expect(Buffer.compare(await readFile(path("ours")), made)).toBe(0);
  });

  it("takes one literal of more than 16 MiB, and many of the most that there are", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    const bytes = Buffer.alloc((16 << 20) + 3, BASE);
    await writeFile(path("old"), "");
    for (const work of [
      (writer: DeltaWriter) => (writer.announce(bytes.length), writer.announced(bytes)),
      (writer: DeltaWriter) => writer.literal(bytes),
    ]) {
      const writer = new DeltaWriter();
      work(writer);
      writer.end();
      await writeFile(path("delta"), writer.take());
      await runOk(program, ["-f", "patch", path("old"), path("delta"), path("made")]);
      expect(Buffer.compare(await readFile(path("made")), bytes)).toBe(0);
    }
  });

  it("reads deltas of real files, and its own are read", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    const binary = await readFile(program);
    const text = await readFile(new URL("../../../package-lock.json", import.meta.url));
    const pairs = [
      [binary, Buffer.concat([binary.subarray(9000), Buffer.from("patched"), binary.subarray(0, 12_345)])],
      [text, Buffer.from(text.toString().replaceAll('"license": "MIT"', '"license": "ISC"'))],
      [text, Buffer.from(text.toString().split("\n").toReversed().join("\n"))],
      [binary, text],
    ] as const;
    for (const [old, fresh] of pairs) {
      await writeFile(path("old"), old);
      await writeFile(path("new"), fresh);
      await rdiffDiff(path("old"), path("new"), path("delta"), AGAIN);
      await runOk(program, ["-f", "patch", path("old"), path("delta"), path("made")]);
      expect(Buffer.compare(await readFile(path("made")), fresh)).toBe(0);
      await runOk(program, ["-f", "signature", path("old"), path("sig")]);
      await rdiffDelta(path("sig"), path("new"), path("delta"), AGAIN);
      await runOk(program, ["-f", "patch", path("old"), path("delta"), path("made")]);
      expect(Buffer.compare(await readFile(path("made")), fresh)).toBe(0);
      await runOk(program, ["-f", "delta", path("sig"), path("new"), path("delta")]);
      await rdiffPatch(path("old"), path("delta"), path("made"), AGAIN);
      expect(Buffer.compare(await readFile(path("made")), fresh)).toBe(0);
    }
  });

  it("has the same least strong sums", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    for (const size of [0, 1, 65_536, 65_537, 1_000_000]) {
      await writeFile(path("old"), Buffer.alloc(size, BASE));
      for (const strong of ["md4", "blake2"] as const) {
        await runOk(program, ["-f", "-H", strong, "-S", "-1", "signature", path("old"), path("theirs")]);
        await rdiffSignature(path("old"), path("ours"), { strong, strongBytes: "least", ...AGAIN });
        expect(Buffer.compare(await readFile(path("ours")), await readFile(path("theirs")))).toBe(0);
      }
    }
  });

  it("of damaged deltas makes the same, or refuses those that are refused here", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    const { delta } = everyCommand();
    await writeFile(path("old"), BASE);
    // The first commands and the last, of which a byte is another, or which are cut.
    const damages = fc.record({ at: fc.nat(delta.length - 1), byte: fc.nat(255), end: fc.nat(delta.length) });
    await fc.assert(
      fc.asyncProperty(damages, fc.boolean(), async ({ at, byte, end }, isCut) => {
        const damaged = Buffer.from(delta);
        damaged[at] = byte;
        await writeFile(path("delta"), isCut ? damaged.subarray(0, end) : damaged);
        const theirs = await run(program, ["-f", "patch", path("old"), path("delta"), path("theirs")]);
        const ours = await rdiffPatch(path("old"), path("delta"), path("ours"), AGAIN).then(
          () => "made",
          (error: { readonly code?: string }) => error.code,
        );
        if (theirs.code !== 0) expect(["DELTA_INVALID", "DELTA_BASE_DIFFERS"]).toContain(ours);
        else {
          expect(ours).toBe("made");
          expect(Buffer.compare(await readFile(path("ours")), await readFile(path("theirs")))).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });
});
