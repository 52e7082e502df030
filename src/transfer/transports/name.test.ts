import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatImageName, parseImageName } from "./name.ts";

describe("names of images with their transports", () => {
  it.each([
    ["oci:dir", { transport: "oci", path: "dir" }],
    ["oci:/a/b:v1", { transport: "oci", path: "/a/b", tag: "v1" }],
    ["oci:dir:", { transport: "oci", path: "dir" }],
    ["oci:dir:debian:12", { transport: "oci", path: "dir", tag: "debian:12" }],
    ["oci:dir:ghcr.io/a/b:c", { transport: "oci", path: "dir", tag: "ghcr.io/a/b:c" }],
    ["oci:dir:@2", { transport: "oci", path: "dir", position: 2 }],
    ["oci-archive:a.tar:v1", { transport: "oci-archive", path: "a.tar", tag: "v1" }],
    ["docker-archive:a.tar", { transport: "docker-archive", path: "a.tar" }],
    ["docker-archive:a.tar:foo", { transport: "docker-archive", path: "a.tar", tag: "docker.io/library/foo:latest" }],
    ["docker-archive:a.tar:h:1/x:y", { transport: "docker-archive", path: "a.tar", tag: "h:1/x:y" }],
    ["docker-archive:a.tar:@0", { transport: "docker-archive", path: "a.tar", position: 0 }],
  ])("reads %s as skopeo does", (text, name) => {
    expect(parseImageName(text)).toEqual(name);
    expect(parseImageName(formatImageName(parseImageName(text)))).toEqual(name);
  });

  it("takes everything else for a reference", () => {
    const reference = { host: "docker.io", name: "library/debian", tag: "12" };
    expect(parseImageName("debian:12")).toEqual({ transport: "registry", reference, explicit: false });
    expect(parseImageName("docker://debian:12")).toEqual({ transport: "registry", reference, explicit: true });
    expect(formatImageName(parseImageName("docker://debian"))).toBe("docker://docker.io/library/debian:latest");
  });

  it.each([
    ["oci:", /oci:DIR/],
    ["oci::tag", /oci:DIR/],
    ["oci:a\0b", /oci:DIR/],
    ["oci:dir:-x", /colon/],
    ["oci:dir:a b", /colon/],
    ["oci:dir:@x", /@N/],
    ["oci:dir:@-1", /@N/],
    [`oci-archive:dir:${"a".repeat(513)}`, /oci-archive:FILE/],
    ["docker-archive:a.tar:Foo", /lower case/],
    [`docker-archive:a.tar:foo@sha256:${"0".repeat(64)}`, /NAME:TAG/],
    ["dir:/tmp/x", /oci-archive/],
    ["docker-daemon:a:b", /oci-archive/],
    ["", /NAME/],
  ])("refuses %j with a hint", (text, hint) => {
    expect(() => parseImageName(text)).toThrow(
      expect.objectContaining({ code: "REFERENCE_INVALID", hint: expect.stringMatching(hint) }),
    );
  });

  it("never throws anything but a coded error", () => {
    const text = fc.tuple(fc.constantFrom("oci:", "oci-archive:", "docker-archive:", "dir:", ""), fc.string());
    fc.assert(
      fc.property(text, ([transport, rest]) => {
        try {
          const name = parseImageName(transport + rest);
          expect(parseImageName(formatImageName(name))).toEqual(name);
        } catch (error) {
          expect(error).toMatchObject({ code: "REFERENCE_INVALID" });
        }
      }),
    );
  });
});
