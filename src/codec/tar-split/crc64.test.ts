import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { Crc64, crc64 } from "./crc64.ts";

const hex = (text: string): string => crc64(Buffer.from(text)).toString("hex");

/** The definition, bit by bit. */
function slowCrc64(bytes: Uint8Array): string {
  const ones = 0xffff_ffff_ffff_ffffn;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0xd800_0000_0000_0000n : crc >> 1n;
  }
  return (crc ^ ones).toString(16).padStart(16, "0");
}

describe("CRC-64 (ISO)", () => {
  it("gives the published values", () => {
    expect(hex("123456789")).toBe("b90956c775a41001");
    expect(hex("hello")).toBe("3c3eeee2d8100000");
    expect(hex("")).toBe("0000000000000000");
    expect(hex("imma hurr til I derp")).toBe("0274a4b1abec6b4e");
  });

  it("is what the definition says, in any number of pieces", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (pieces) => {
        const crc = new Crc64().update(Buffer.from("before")).reset();
        for (const piece of pieces) crc.update(piece);
        expect(crc.digest().toString("hex")).toBe(slowCrc64(Buffer.concat(pieces)));
      }),
    );
  });
});
