import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import type { SessionAnswer } from "../session.ts";
import { parseKept } from "./kept-range.ts";
import { closingLocation, nextLocation } from "./location.ts";

const DIGEST = digestOf("x");

function next(location: string | undefined, from = "https://r.example/v2/a/blobs/uploads/"): string | undefined {
  const answer = {
    status: 202,
    reason: "",
    headers: location === undefined ? {} : { location },
    body: Readable.from([]),
    url: new URL(from),
  } as unknown as SessionAnswer;
  return nextLocation(answer, "blob")?.href;
}

describe("a Location", () => {
  it.each([
    ["/v2/a/blobs/uploads/1", "https://r.example/v2/a/blobs/uploads/1"],
    ["1?x=y", "https://r.example/v2/a/blobs/uploads/1?x=y"],
    ["https://r.example/u?_state=a%2Fb+c%20d&e", "https://r.example/u?_state=a%2Fb+c%20d&e"],
    ["//cdn.example/u", "https://cdn.example/u"],
    ["https://ada:secret@cdn.example/u#frag", "https://cdn.example/u"],
    // A registry that thinks it is spoken to in clear text.
    ["http://r.example/u?a=b", "https://r.example/u?a=b"],
    ["http://r.example:5000/u", "https://r.example/u"],
  ])("%s is %s", (location, href) => {
    expect(next(location)).toBe(href);
  });

  it("may lead to TLS, never out of it, and nowhere but to the web", () => {
    expect(next("https://r.example/u", "http://r.example/")).toBe("https://r.example/u");
    for (const location of [
      "http://cdn.example/u",
      "file:///etc/passwd",
      "javascript:1",
      "https://",
      `/${"x".repeat(9000)}`,
    ]) {
      expect(() => next(location)).toThrow(expect.objectContaining({ code: "REGISTRY_PROTOCOL" }));
    }
  });

  it("may be missing", () => {
    expect([next(undefined), next("")]).toEqual([undefined, undefined]);
  });

  it("gets the digest and keeps the rest as it was written", () => {
    const close = (url: string): string => closingLocation(new URL(url), DIGEST).href;
    const digest = `digest=${encodeURIComponent(DIGEST)}`;
    expect(close("https://r/u")).toBe(`https://r/u?${digest}`);
    expect(close("https://r/u?_state=a%2Fb+c%20d~*&e")).toBe(`https://r/u?_state=a%2Fb+c%20d~*&e&${digest}`);
  });
});

describe("how much a registry says it has", () => {
  it.each([
    ["0-99", { bytes: 100, vague: false }],
    ["0-0", { bytes: 1, vague: true }],
    ["0--1", { bytes: 0, vague: false }],
    ["bytes=0-9", { bytes: 10, vague: false }],
    [" 0-9 ", { bytes: 10, vague: false }],
  ])("%s", (text, kept) => {
    expect(parseKept(text)).toEqual(kept);
  });

  it.each([
    undefined,
    "",
    "0",
    "0-",
    "-5",
    "0--5",
    "1-9",
    "9-0",
    "0-1e3",
    "0-9999999999999999",
    "bytes 0-9/10",
    "0-9,20-29",
  ])("%s says nothing", (text) => {
    expect(parseKept(text)).toBeUndefined();
  });
});
