import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { noise } from "../../../test/kit/http/test-client.ts";
import { SentHash } from "./sent-hash.ts";

const BYTES = noise(1000);
const INTERVAL = 64;

describe("SentHash", () => {
  it("is right after any breaks, when the bytes are the same each time", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ sent: fc.integer({ min: 1, max: 400 }), back: fc.nat(500) }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 90 }),
        (breaks, piece) => {
          const hash = new SentHash(digestOf(BYTES), BYTES.length, { interval: INTERVAL });
          const send = (end: number): void => {
            while (hash.position < end) {
              hash.update(BYTES.subarray(hash.position, Math.min(end, hash.position + piece)));
            }
          };
          for (const { sent, back } of breaks) {
            send(Math.min(BYTES.length, hash.position + sent));
            const offset = Math.max(0, hash.position - back);
            const from = hash.rewind(offset);
            expect(from).toBeLessThanOrEqual(offset);
            expect(offset - from).toBeLessThan(INTERVAL);
          }
          send(BYTES.length);
          expect(hash.isRight()).toBe(true);
          expect(hash.reached).toBe(BYTES.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("sees any byte of what is already there come out otherwise when it is read again", () => {
    fc.assert(
      fc.property(fc.nat(999), fc.nat(999), (reached, at) => {
        const hash = new SentHash(digestOf(BYTES), BYTES.length, { interval: INTERVAL });
        hash.update(BYTES.subarray(0, reached + 1));
        const from = hash.rewind(at % (reached + 1));
        if (from > reached) return;
        const wrong = Buffer.from(BYTES);
        wrong[from]! ^= 1;
        expect(() => hash.update(wrong.subarray(from, reached + 1))).toThrow(
          expect.objectContaining({ code: "SOURCE_CHANGED" }),
        );
      }),
      { numRuns: 100 },
    );
  });

  it("takes other bytes when nothing of the first is left", () => {
    const hash = new SentHash(digestOf(BYTES), BYTES.length, { interval: INTERVAL });
    hash.update(noise(500, "others"));
    hash.restart();
    expect([hash.position, hash.reached]).toEqual([0, 0]);
    hash.update(BYTES);
    expect(hash.isRight()).toBe(true);
  });

  it("is right for sha512, and for nothing at all", () => {
    const long = new SentHash(digestOf(BYTES, "sha512"), BYTES.length);
    long.update(BYTES);
    expect(long.isRight()).toBe(true);
    expect(new SentHash(digestOf(""), 0).isRight()).toBe(true);
    const wrong = new SentHash(digestOf(createHash("sha256").update("x").digest()), 1);
    wrong.update(Buffer.from("y"));
    expect(wrong.isRight()).toBe(false);
  });
});
