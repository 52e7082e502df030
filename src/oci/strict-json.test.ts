import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_JSON_DEPTH, MAX_JSON_VALUES, parseJson } from "./strict-json.ts";

const parse = (text: string): unknown => parseJson(Buffer.from(text), "document");

describe("strict JSON", () => {
  it("reads all that JSON.stringify writes as JSON.parse does", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8, noUnicodeString: false }), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['{"a":1,"a":1}', /"a" twice/],
    ['{"a":1,"\\u0061":2}', /"a" twice/],
    ['{"x":[{"b":{},"c":[1,"b","b"],"b":2}]}', /"b" twice/],
    ['{"__proto__":1,"__proto__":2}', /__proto__/],
    ['{"a":1}{"a":1}', /not valid JSON/],
    ['{"a":1', /not valid JSON/],
    ['{"a', /not valid JSON/],
    ['{"\\u00zz":1}', /twice|not valid/],
    ["", /not valid JSON/],
    ["NaN", /not valid JSON/],
    ["\ufeff{}", /not valid JSON/],
    ["{'a':1}", /not valid JSON/],
    ["[1,]", /not valid JSON/],
    ["]]]]", /not valid JSON/],
  ])("refuses %j", (text, why) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: "MANIFEST_INVALID", message: expect.stringMatching(why) }),
    );
  });

  it("refuses what nests too deep or has too many values, before building any of it", () => {
    expect(() => parse("[".repeat(1_000_000))).toThrow("deeper");
    expect(() => parse('{"a":'.repeat(1_000_000))).toThrow("deeper");
    expect(() => parse(`[${"0,".repeat(MAX_JSON_VALUES + 1)}0]`)).toThrow("more than");
  });

  it("refuses bytes that are not UTF-8, with the caller's code", () => {
    expect(() => parseJson(new Uint8Array([0x22, 0xff, 0x22]), "image config", { code: "CONFIG_INVALID" })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", message: "image config is not valid UTF-8" }),
    );
  });

  it("allows equal names in different objects, and strings that look like names", () => {
    expect(parse('{"a":{"a":"\\"a\\":"},"b":["a","a",{"a":{}}]}')).toEqual({
      a: { a: '"a":' },
      b: ["a", "a", { a: {} }],
    });
  });

  it("allows the full depth", () => {
    const text = `${"[".repeat(MAX_JSON_DEPTH)}${"]".repeat(MAX_JSON_DEPTH)}`;
    expect(JSON.stringify(parse(text))).toBe(text);
  });
});
