import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { formatReference, parseReference, withDigest, withTag } from "./reference.ts";

const DIGEST = digestOf("x");
const HEX64 = "a".repeat(64);

describe("references", () => {
  it.each([
    ["debian", "docker.io/library/debian:latest"],
    ["debian:12", "docker.io/library/debian:12"],
    ["docker://debian:12", "docker.io/library/debian:12"],
    ["grafana/grafana", "docker.io/grafana/grafana:latest"],
    ["docker.io/debian", "docker.io/library/debian:latest"],
    ["index.docker.io/debian", "docker.io/library/debian:latest"],
    ["index.docker.io/a/b:c", "docker.io/a/b:c"],
    ["ghcr.io/owner/app", "ghcr.io/owner/app:latest"],
    ["GHCR.io/owner/app:V1", "ghcr.io/owner/app:V1"],
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000", "docker.io/library/localhost:5000"],
    ["localhost:5000/app", "localhost:5000/app:latest"],
    ["127.0.0.1:5000/a/b/c:d", "127.0.0.1:5000/a/b/c:d"],
    ["[::1]/app", "[::1]/app:latest"],
    ["[::1]:5000/app:1", "[::1]:5000/app:1"],
    ["[2001:DB8::1]:5000/app", "[2001:db8::1]:5000/app:latest"],
    [`debian@${DIGEST}`, `docker.io/library/debian@${DIGEST}`],
    [`debian:12@${DIGEST}`, `docker.io/library/debian:12@${DIGEST}`],
    [`r:1/a__b/c--d.e:_@${DIGEST}`, `r:1/a__b/c--d.e:_@${DIGEST}`],
  ])("completes %s as Docker does", (text, full) => {
    expect(formatReference(parseReference(text))).toBe(full);
  });

  it("leaves the tag out when asked to", () => {
    expect(parseReference("debian", { defaultTag: false })).toEqual({ host: "docker.io", name: "library/debian" });
  });

  it.each([
    ["", /NAME/],
    ["docker://", /NAME/],
    ["https://ghcr.io/owner/app", /leave out https/],
    ["Debian", /lower case: debian$/],
    ["ghcr.io/Owner/App", /lower case: ghcr.io\/owner\/app$/],
    ["Owner/app", /lower case: owner\/app$/],
    ["ghcr.io/", /parts/],
    ["ghcr.io/a//b", /parts/],
    ["/a", /parts/],
    ["a/", /parts/],
    ["a..b", /parts/],
    ["a___b", /parts/],
    ["-a", /parts/],
    ["../../etc/passwd", /host/],
    ["a b", /parts/],
    ["a\0b", /parts/],
    ["ghcr.io/a\nb", /parts/],
    ["débian", /parts/],
    ["debian:", /a tag has/],
    ["debian:-x", /a tag has/],
    [`debian:${"x".repeat(129)}`, /a tag has/],
    ["debian:1:2", /a tag has/],
    ["debian@", /sha256/],
    ["debian@sha256:abc", /sha256/],
    [`debian@${DIGEST}:1`, /sha256/],
    [`debian@${DIGEST}@${DIGEST}`, /sha256/],
    [HEX64, /NAME@sha256/],
    ["host:0/a", /host/],
    ["host:65536/a", /host/],
    ["host:x/a", /host/],
    ["ho_st.example/a", /host/],
    ["user:secret@ghcr.io/a", /--creds/],
    ["[::1/a", /host/],
    ["[::g]/a", /host/],
    ["[fe80::1%eth0]/a", /host/],
    ["[127.0.0.1]/a", /host/],
    ["::1/a", /host/],
  ])("refuses %j with a hint that helps", (text, hint) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: "REFERENCE_INVALID", hint: expect.stringMatching(hint) }),
    );
  });

  it("takes a name of 255 characters, host included, and none longer", () => {
    const name = "a".repeat(255 - "ghcr.io/".length);
    expect(parseReference(`ghcr.io/${name}`).name).toBe(name);
    expect(() => parseReference(`ghcr.io/${name}a`)).toThrow("too long");
    const short = "a".repeat(255 - "docker.io/library/".length);
    expect(parseReference(short).name).toBe(`library/${short}`);
    expect(() => parseReference(`${short}a`)).toThrow("too long");
    expect(() => parseReference("a".repeat(2000))).toThrow("1024 characters");
  });

  it("does not repeat a password that was put into a name, wherever it stands", () => {
    const account = "me:s3cr:et/word@registry.example";
    const names = ["", "docker://", "https://", "http://"].map((scheme) => `${scheme}${account}/app:1`);
    for (const text of [...names, `${account}/${"x".repeat(5000)}`]) {
      expect(() => parseReference(text)).toThrow(
        expect.objectContaining({ code: "REFERENCE_INVALID", message: "a name holds no user and password" }),
      );
    }
  });

  it("is the same after it was written and read again", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
    const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
    const hostName = fc.oneof(
      fc.domain(),
      fc.constant("localhost"),
      fc.ipV4(),
      fc.ipV6().map((address) => `[${address.toLowerCase()}]`),
    );
    const host = fc
      .tuple(hostName, port)
      .map(([name, number]) => (number === undefined ? name : `${name}:${number}`))
      .filter((name) => name !== "index.docker.io");
    const reference = fc.record(
      {
        host,
        name: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
        tag: fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/),
        digest: fc.constantFrom(DIGEST, digestOf("y", "sha512")),
      },
      { requiredKeys: ["host", "name"] },
    );
    fc.assert(
      fc.property(reference, (given) => {
        fc.pre(given.host.length + given.name.length < 255);
        expect(parseReference(formatReference(given), { defaultTag: false })).toEqual(given);
      }),
    );
  });

  it("never throws anything but a coded error, and is stable once parsed", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.stringMatching(/^[a-zA-Z0-9:.@/_[\]-]{0,60}$/),
      fc.constantFrom("docker.io", "index.docker.io/x", "a:b@c", "//", "[::]/"),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          const parsed = parseReference(given);
          expect(parseReference(formatReference(parsed))).toEqual(parsed);
        } catch (error) {
          expect(error).toMatchObject({ code: "REFERENCE_INVALID" });
        }
      }),
      { numRuns: 500 },
    );
  });

  it("pins to a digest and moves to another tag", () => {
    const debian = parseReference("debian:12");
    expect(formatReference(withDigest(debian, DIGEST))).toBe(`docker.io/library/debian:12@${DIGEST}`);
    expect(formatReference(withTag(withDigest(debian, DIGEST), "13"))).toBe("docker.io/library/debian:13");
    expect(() => withTag(debian, "no way")).toThrow(expect.objectContaining({ code: "REFERENCE_INVALID" }));
  });
});
