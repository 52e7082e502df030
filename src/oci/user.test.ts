import { describe, expect, it } from "vitest";
import { resolveUser } from "./user.ts";

const PASSWD =
  "root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken\napp:x:1000:1001::/home/app:\r\n42:x:7:7::/:\nbad:x:-1:0::/:\n";
const GROUP = "root:x:0:\nwheel:x:10:root,app\napp:x:1001:app\naudio:x:29:app,root\n";

describe("an image's user", () => {
  it.each([
    ["", 0, 0, [10, 29]],
    ["root", 0, 0, [10, 29]],
    ["0", 0, 0, [10, 29]],
    ["app", 1000, 1001, [10, 29]],
    ["1000", 1000, 1001, [10, 29]],
    ["app:audio", 1000, 29, []],
    ["app:5", 1000, 5, []],
    ["app:", 1000, 1001, [10, 29]],
    ["5000", 5000, 0, []],
    ["5000:6000", 5000, 6000, []],
    ["5000:wheel", 5000, 10, []],
    [":wheel", 0, 10, []],
    ["42", 42, 0, []],
    ["2147483647", 2147483647, 0, []],
  ])("%j is uid %d, gid %d, groups %j", (field, uid, gid, additionalGids) => {
    expect(resolveUser(field, PASSWD, GROUP)).toEqual({ uid, gid, additionalGids });
  });

  it("needs no files for numbers", () => {
    expect(resolveUser("", "", "")).toEqual({ uid: 0, gid: 0, additionalGids: [] });
    expect(resolveUser("10:20", "", "")).toEqual({ uid: 10, gid: 20, additionalGids: [] });
  });

  it.each([
    "nobody",
    "app:nogroup",
    "bad",
    "-1",
    "2147483648",
    "1:4294967296",
    "999999999999999999999",
    "a:b:c",
    "root\n",
  ])("refuses %j", (field) => {
    expect(() => resolveUser(field, PASSWD, GROUP)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", hint: expect.stringMatching(/ids/) }),
    );
  });
});
