/** The sums of signatures: official vectors, other implementations, and rolling. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WEAK_SUMS } from "./kinds.ts";
import { strongSum, strongSumOf } from "./strong-sum.ts";
import { SumFilter } from "./sum-filter.ts";
import { weakSum } from "./weak-sums.ts";

const text = (of: string): Uint8Array => new TextEncoder().encode(of);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("MD4", () => {
  // RFC 1320, A.5
  it.each([
    ["", "31d6cfe0d16ae931b73c59d7e0c089c0"],
    ["a", "bde52cb31de33e46245e05fbdbd6fb24"],
    ["abc", "a448017aaf21d8525fc10ae87aa6729d"],
    ["message digest", "d9130a8164549fe818874806e1c7014b"],
    ["abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"],
    ["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"],
    [
      "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
      "e33b4ddc9c38f2199c3e7b164fcc0536",
    ],
  ])("of %j", (input, sum) => {
    expect(hex(strongSumOf("md4", text(input)))).toBe(sum);
  });
});

describe("BLAKE2b with 32 bytes", () => {
  it.each([
    ["", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"],
    ["abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"],
    ["hello", "324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf"],
  ])("of %j", (input, sum) => {
    expect(hex(strongSumOf("blake2", text(input)))).toBe(sum);
  });

  // Inputs as in RFC 7693's self-test (appendix E); sums by Python's hashlib.
  it("of many lengths", () => {
    const whole = strongSum("blake2");
    for (const length of [0, 3, 128, 129, 255, 1024]) {
      whole.update(strongSumOf("blake2", sequence(length, length)));
    }
    expect(hex(strongSumOf("blake2", sequence(1024, 1024)))).toBe(PEER_1024);
    const into = new Uint8Array(32);
    whole.finish(into, 0, 32);
    expect(hex(into)).toBe(PEER_OF_ALL);
  });
});

const PEER_1024 = "a001b41dd6bfcb13c73bf83a1fe5c881d49476163e472906c200375d8482b004";
const PEER_OF_ALL = "4f115497d72f1ccb3d237329babe50880012733139e76a227f62b1ee64cd03e4";

/** The deterministic input of RFC 7693's self-test. */
function sequence(length: number, seed: number): Uint8Array {
  let a = Math.imul(0xdead4bad, seed);
  let b = 1;
  return Uint8Array.from({ length }, () => {
    const sum = (a + b) | 0;
    [a, b] = [b, sum];
    return sum >>> 24;
  });
}

describe.each(["md4", "blake2"] as const)("%s", (name) => {
  it("is the same in whatever pieces the bytes come, and one after the other", () => {
    const bytes = sequence(200_000, 7);
    const sum = strongSum(name);
    for (const piece of [1, 63, 64, 127, 128, 4096, 65_536, 65_537, 200_000]) {
      for (let at = 0; at < bytes.length; at += piece) sum.update(bytes.subarray(at, at + piece));
      const into = new Uint8Array(16);
      sum.finish(into, 0, 16);
      expect(hex(into)).toBe(hex(strongSumOf(name, bytes).subarray(0, 16)));
    }
  });
});

describe.each(WEAK_SUMS)("%s", (name) => {
  it("rolled is what it is computed anew, over all windows, growing and shrinking", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.integer({ min: 1, max: 64 }), (bytes, wanted) => {
        const width = Math.min(wanted, bytes.length);
        const anew = (from: number, to: number): number => {
          const sum = weakSum(name);
          sum.update(bytes, from, to);
          return sum.value;
        };
        const everything = new SumFilter(1);
        everything.words.fill(-1);
        const rolled = weakSum(name);
        rolled.update(bytes, 0, width);
        for (let at = 0; at + width < bytes.length; at++) {
          expect(rolled.roll(bytes, at, at + width, bytes.length, everything)).toBe(1);
          expect(rolled.value).toBe(anew(at + 1, at + 1 + width));
        }
        for (let at = bytes.length - width; at < bytes.length; at++) {
          rolled.drop(bytes[at]!);
          expect(rolled.value).toBe(anew(at + 1, bytes.length));
        }
      }),
    );
  });
});

it.each(WEAK_SUMS)("%s rolls to the next sum that is looked for", (name) => {
  const bytes = Uint8Array.from({ length: 3000 }, (_, at) => (at * at * at) >> 5);
  const filter = new SumFilter(1);
  const wanted = weakSum(name);
  wanted.update(bytes, 2000, 2100);
  filter.add(wanted.value);
  const rolled = weakSum(name);
  rolled.update(bytes, 0, 100);
  let from = 0;
  while (from + 100 < bytes.length && rolled.value !== wanted.value) {
    from += rolled.roll(bytes, from, from + 100, bytes.length, filter);
  }
  expect(from).toBe(2000);
});

it("weak sums are those of librsync", () => {
  const sums = WEAK_SUMS.map((name) => {
    const sum = weakSum(name);
    sum.update(text("hello"), 0, 5);
    return sum.value.toString(16).padStart(8, "0");
  });
  expect(sums).toEqual(["c9183e85", "07f802af"]);
});
