import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { estargzFooter } from "../../../test/kit/images/estargz.ts";
import { parseEstargzFooter } from "./footer.ts";

const FIELD = "00000000000004d2STARGZ";

describe("a footer of eStargz", () => {
  it("tells where the table of contents is, in all three kinds", () => {
    const before = Buffer.from("anything");
    const parse = (extra: string) => parseEstargzFooter(Buffer.concat([before, estargzFooter(extra)]));
    expect(parse(`SG\x16\0${FIELD}`)).toEqual({ kind: "estargz", length: 51, tocOffset: 1234 });
    expect(parse(FIELD)).toEqual({ kind: "stargz", length: 47, tocOffset: 1234 });
    expect(parse("SG\x11\0STARGZEXTERNALTOC")).toEqual({ kind: "external", length: 46 });
  });

  it.each([
    ["other subfields", `SH\x16\0${FIELD}`],
    ["another length of the subfield", `SG\x15\0${FIELD}`],
    ["another magic", `SG\x16\0${FIELD.slice(0, 16)}STARGX`],
    ["digits that are none", "SG\x16\x00000000000000000gSTARGZ"],
    ["capital digits", "SG\x16\x0000000000000004D2STARGZ"],
    ["an offset beyond numbers", `SG\x16\0${"f".repeat(16)}STARGZ`],
    ["a field that is too long", `SG\x17\0${FIELD}x`],
  ])("is none with %s", (_, extra) => {
    expect(parseEstargzFooter(estargzFooter(extra))).toBeUndefined();
  });

  it("is none when any byte of its frame is another", () => {
    const good = estargzFooter(`SG\x16\0${FIELD}`);
    expect(parseEstargzFooter(good.subarray(1))).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const near = Buffer.from(good);
        near[at] = near[at]! ^ change;
        const isDigit = at >= 16 && at < 32;
        if (!isDigit) expect(parseEstargzFooter(near)).toBeUndefined();
      }),
    );
  });
});
