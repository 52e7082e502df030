import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { isVarveError } from "../errors/varve-error.ts";
import { decodeName, encodeName, nameLength, systemName } from "./path-bytes.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("names as bytes", () => {
  it("gives back every byte string", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (name) => {
        const text = decodeName(name);
        expect([...encodeName(text)]).toEqual([...name]);
        expect(nameLength(text)).toBe(name.length);
        expect(Buffer.from(systemName(text)).equals(Buffer.from(name))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("gives back bytes that almost are UTF-8", () => {
    const near = fc.constantFrom(
      0x2f,
      0x61,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc2,
      0xe0,
      0xed,
      0xf0,
      0xf4,
      0xf5,
    );
    fc.assert(
      fc.property(fc.array(near, { maxLength: 12 }), (name) => {
        expect([...encodeName(decodeName(Uint8Array.from(name)))]).toEqual(name);
      }),
      { numRuns: 2000 },
    );
  });

  it("leaves valid UTF-8 as it is", () => {
    for (const name of ["", "usr/bin", "große/Bäume", "日本", "🦀/x", "\u0000"]) {
      expect(decodeName(Buffer.from(name))).toBe(name);
      expect(encodeName(name).toString("utf8")).toBe(name);
      expect(systemName(name)).toBe(name);
    }
  });

  it("writes each stray byte as U+DC00 + byte, as Python does", () => {
    expect(decodeName(bytes(0x62, 0xe4, 0x75, 0x6d))).toBe("b\udce4um");
    expect(decodeName(bytes(0xed, 0xa0, 0x80))).toBe("\udced\udca0\udc80");
    expect(decodeName(bytes(0xc0, 0xaf))).toBe("\udcc0\udcaf");
    expect(decodeName(bytes(0xf0, 0x9f, 0xa6, 0x80, 0xff))).toBe("🦀\udcff");
    expect(decodeName(bytes(0xe6, 0x97))).toBe("\udce6\udc97");
  });

  it("refuses a lone surrogate that stands for no byte", () => {
    for (const name of ["\ud800", "a\udc7f", "\udd00", "\udc00"]) {
      expect(() => encodeName(name)).toThrow(expect.objectContaining({ code: "PATH_INVALID" }));
      try {
        systemName(name);
        expect.unreachable();
      } catch (error) {
        expect(isVarveError(error, "PATH_INVALID")).toBe(true);
      }
    }
  });
});
