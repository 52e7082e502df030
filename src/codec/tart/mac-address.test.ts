/** A new address in a machine's configuration changes nothing else of it. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { someVmConfig } from "../../../test/kit/disk/tart-image.ts";
import { macAddressIn, randomMacAddress, withMacAddress } from "./mac-address.ts";
import { parseVmConfig } from "./vm-config.ts";

const NEW = "02:00:00:00:00:01";
const changed = (text: string): string => withMacAddress(Buffer.from(text), NEW).toString();

describe("a new address", () => {
  it("is that of one card, and of no maker", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (random) => {
        const address = randomMacAddress(random);
        expect(address).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
        expect(Number.parseInt(address.slice(0, 2), 16) & 3).toBe(2);
      }),
    );
    expect(randomMacAddress()).not.toBe(randomMacAddress());
  });

  it("takes the place of the old one in a configuration of Tart", () => {
    const config = someVmConfig();
    const { macAddress, ...rest } = parseVmConfig(config);
    const made = withMacAddress(config, NEW);
    expect(parseVmConfig(made)).toEqual({ ...rest, macAddress: NEW });
    expect(made.toString()).toBe(config.toString().replace(macAddress, NEW));
  });

  it.each([
    ['{"macAddress":"a"}', `{"macAddress":"${NEW}"}`],
    ['{ "x": {"macAddress": "in"},\n\t"macAddress" :\n "a\\"b" , "y": ["macAddress", "z"] }', undefined],
    ['{"mac\\u0041ddress":"a","ü":"macAddress"}', `{"mac\\u0041ddress":"${NEW}","ü":"macAddress"}`],
    ['{"a":"macAddress","macAddress":"macAddress"}', `{"a":"macAddress","macAddress":"${NEW}"}`],
  ])("keeps all other bytes of %s", (text, expected) => {
    const made = changed(text);
    expect(macAddressIn(Buffer.from(made))).toBe(NEW);
    expect(made).toBe(expected ?? text.replace('"a\\"b"', `"${NEW}"`));
  });

  it.each(['{"x":1}', '{"macAddress":7}', "{}"])("is not put where there was none: %s", (text) => {
    expect(changed(text)).toBe(text);
  });

  it.each(["[]", "{", '{"macAddress":"a","macAddress":"b"}'])("is refused for %s", (text) => {
    expect(() => changed(text)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });

  it("keeps every other member of any configuration", () => {
    const member = fc.jsonValue({ maxDepth: 2 });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), member), fc.string(), (others, address) => {
        const document = { ...others, macAddress: address, last: { macAddress: "in" } };
        expect(JSON.parse(changed(JSON.stringify(document)))).toEqual(
          JSON.parse(JSON.stringify({ ...document, macAddress: NEW })),
        );
      }),
    );
  });
});
