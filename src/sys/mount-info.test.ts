import { describe, expect, it } from "vitest";
import { parseMountInfo, readMountInfo } from "./mount-info.ts";

const LINES = String.raw`27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
46 27 0:40 /a\040b /t\011\134x rw,nosuid shared:3 master:1 - overlay ov\040er rw,lowerdir=/l\054x:/m,upperdir=/u
47 27 0:41 / /n rw - tmpfs  rw
nonsense
`;

describe("the table of mounts", () => {
  it("is read with its escapes and any number of optional fields", () => {
    const [root, overlay, nameless, none] = parseMountInfo(Buffer.from(LINES));
    expect(root).toMatchObject({ id: 27, parent: 1, device: "254:0", target: "/", type: "ext4", source: "/dev/vda" });
    expect(overlay).toEqual({
      id: 46,
      parent: 27,
      device: "0:40",
      root: "/a b",
      target: "/t\t\\x",
      options: ["rw", "nosuid"],
      type: "overlay",
      source: "ov er",
      superOptions: ["rw", "lowerdir=/l,x:/m", "upperdir=/u"],
    });
    expect(nameless).toMatchObject({ type: "tmpfs", source: "", superOptions: ["rw"] });
    expect(none).toBeUndefined();
  });

  it("keeps names that are no UTF-8", () => {
    const line = Buffer.from("47 27 0:41 / /\xff rw - tmpfs x rw\n", "latin1");
    expect(parseMountInfo(line)[0]?.target).toBe("/\udcff");
  });

  it("has the root of this process", () => {
    expect(readMountInfo().map(({ target }) => target)).toContain("/");
  });
});
