import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Descriptor } from "./descriptor.ts";
import { digestOf } from "./digest.ts";
import { MEDIA_TYPES } from "./media-types.ts";
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  parsePlatform,
  platformMatches,
  platformOfProcess,
} from "./platform.ts";

function entry(platform: string | undefined, extra: Partial<Descriptor> = {}): Descriptor {
  return {
    mediaType: MEDIA_TYPES.ociManifest,
    digest: digestOf(String(platform)),
    size: 1,
    ...(platform !== undefined && { platform: raw(platform) }),
    ...extra,
  };
}

/** As it stands in an index, not normalised. */
function raw(text: string): NonNullable<Descriptor["platform"]> {
  const [os = "", architecture = "", variant, osVersion] = text.split("/");
  return {
    os,
    architecture,
    ...(variant !== undefined && variant !== "" && { variant }),
    ...(osVersion !== undefined && { osVersion }),
  };
}

function chosen(wanted: string, candidates: readonly string[]): string | undefined {
  const descriptors = candidates.map((text) => entry(text));
  const found = choosePlatform(descriptors, parsePlatform(wanted));
  return found === undefined ? undefined : candidates[descriptors.indexOf(found)];
}

describe("platforms", () => {
  it.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["Linux/x86_64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/6", "linux/arm/v6"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/i386", "linux/386"],
    ["macos/arm64", "darwin/arm64"],
    ["windows(10.0.17763.1)/amd64", "windows(10.0.17763.1)/amd64"],
  ])("reads %s as %s", (text, canonical) => {
    expect(formatPlatform(parsePlatform(text))).toBe(canonical);
    expect(formatPlatform(parsePlatform(canonical))).toBe(canonical);
  });

  it.each(["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64", "linux/a;b", "linux\0/amd64"])(
    "refuses %j",
    (text) => {
      expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: "PLATFORM_INVALID" }));
    },
  );

  it.each([
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm/v8"], "linux/arm/v7"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64/v8"], "linux/arm/v6"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/amd64"], "linux/arm/v5"],
    ["linux/arm/v6", ["linux/arm/v7"], undefined],
    ["linux/arm/v7", ["linux/arm/"], "linux/arm/"],
    ["linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm64/v8", ["linux/arm64"], "linux/arm64"],
    ["linux/arm64/v9", ["linux/arm64", "linux/arm/v7"], "linux/arm64"],
    ["linux/arm64", ["linux/arm64/v9"], undefined],
    ["linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/amd64", ["linux/amd64/v3", "linux/amd64/v2"], undefined],
    ["linux/amd64", ["linux/amd64/v2", "linux/amd64/v1"], "linux/amd64/v1"],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"], "linux/amd64/v3"],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"],
    ["linux/amd64/v3", ["linux/386", "linux/amd64", "linux/amd64/v4"], "linux/amd64"],
    ["linux/amd64", ["linux/386"], "linux/386"],
    ["linux/386", ["linux/amd64"], undefined],
    ["linux/amd64", ["unknown/unknown", "windows/amd64", "linux/arm64"], undefined],
    ["linux/riscv64", ["linux/riscv64"], "linux/riscv64"],
    ["linux/amd64", ["linux/x86_64"], "linux/x86_64"],
    ["windows/amd64", ["windows/amd64//10.0.17763.1", "windows/amd64//10.0.20348.2"], "windows/amd64//10.0.17763.1"],
    [
      "windows(10.0.20348.5)/amd64",
      ["windows/amd64//10.0.17763.9", "windows/amd64//10.0.20348.2"],
      "windows/amd64//10.0.20348.2",
    ],
    [
      "windows(10.0.20348.5)/amd64",
      ["windows/amd64//10.0.20348.9", "windows/amd64//10.0.20348.5"],
      "windows/amd64//10.0.20348.5",
    ],
    [
      "windows(10.0.20348)/amd64",
      ["windows/amd64//10.0.20348.2", "windows/amd64//10.0.20348.10"],
      "windows/amd64//10.0.20348.10",
    ],
    ["windows(10.0.20348)/amd64", ["windows/amd64//10.0.17763.9"], undefined],
  ] as const)("gives %s of %j the best there is: %s", (wanted, candidates, best) => {
    expect(chosen(wanted, candidates)).toBe(best);
  });

  it("takes the first of equals", () => {
    const first = entry("linux/amd64", { size: 1 });
    expect(choosePlatform([first, entry("linux/amd64", { size: 2 })], parsePlatform("linux/amd64"))).toBe(first);
  });

  it("takes an entry without platform only when no other fits, and never an attestation", () => {
    const plain = entry(undefined);
    const attestation = entry(undefined, { annotations: { "vnd.docker.reference.type": "attestation-manifest" } });
    const match = entry("linux/amd64");
    expect(choosePlatform([plain, match], parsePlatform("linux/amd64"))).toBe(match);
    expect(choosePlatform([attestation, plain], parsePlatform("linux/s390x"))).toBe(plain);
    expect(choosePlatform([attestation, match], parsePlatform("linux/s390x"))).toBe(undefined);
    expect(choosePlatform([], parsePlatform("linux/s390x"))).toBe(undefined);
  });

  it("wants every OS feature of an image", () => {
    const platform = { os: "windows", architecture: "amd64", osFeatures: ["win32k"] };
    expect(platformMatches(platform, parsePlatform("windows/amd64"))).toBe(false);
    expect(platformMatches(platform, { ...parsePlatform("windows/amd64"), osFeatures: ["win32k"] })).toBe(true);
  });

  it("names this machine, and others by what Node says of them", () => {
    expect(parsePlatform(formatPlatform(hostPlatform()))).toEqual(hostPlatform());
    expect(formatPlatform(platformOfProcess("linux", "x64", {}))).toBe("linux/amd64");
    expect(formatPlatform(platformOfProcess("linux", "arm", { arm_version: "6" }))).toBe("linux/arm/v6");
    expect(formatPlatform(platformOfProcess("linux", "arm", { arm_version: 7 }))).toBe("linux/arm/v7");
    expect(formatPlatform(platformOfProcess("linux", "arm", {}))).toBe("linux/arm/v7");
    expect(formatPlatform(platformOfProcess("win32", "ia32", {}))).toBe("windows/386");
    expect(formatPlatform(platformOfProcess("darwin", "arm64", {}))).toBe("darwin/arm64");
  });

  it("is bounded and calm whatever an index says", () => {
    const odd = fc.record({
      os: fc.string(),
      architecture: fc.constantFrom("arm", "arm64", "amd64", ""),
      variant: fc.string(),
    });
    fc.assert(
      fc.property(odd, odd, (candidate, wanted) => {
        expect(typeof platformMatches(candidate, wanted)).toBe("boolean");
      }),
    );
    for (const variant of ["v1e308", "v999999999", "vInfinity", "v-1", "vNaN"]) {
      for (const architecture of ["arm", "arm64", "amd64"]) {
        expect(platformMatches({ os: "linux", architecture, variant }, { os: "linux", architecture, variant })).toBe(
          true,
        );
      }
    }
  });
});
