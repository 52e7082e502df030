import { describe, expect, it } from "vitest";
import { Digester, digestOf, isDigest, parseDigest } from "./digest.ts";

const EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

describe("digest", () => {
  it("hashes bytes in one go and as a stream alike", () => {
    expect(digestOf("")).toBe(EMPTY);
    expect(new Digester().update(Buffer.from("ab")).update(Buffer.from("c")).digest()).toBe(digestOf("abc"));
    expect(digestOf("abc", "sha512")).toMatch(/^sha512:[0-9a-f]{128}$/);
  });

  it.each([
    "",
    "sha256",
    "sha256:",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    EMPTY.toUpperCase(),
    `${EMPTY}0`,
    EMPTY.slice(0, -1),
    "sha256:../../etc/passwd",
    "constructor:",
  ])("refuses %j", (text) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: "DIGEST_INVALID" }));
  });
});
