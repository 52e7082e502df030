/**
 * OCI image-index "platform": operating system, CPU architecture and its variant; and which image of an index suits a
 * machine. Names and the order of preference are those of containerd's `platforms` package, which Docker shares.
 */
import { endianness } from "node:os";
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "./descriptor.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
}

const PART = /^[A-Za-z0-9_.-]+$/;
const OS_WITH_VERSION = /^([A-Za-z0-9_.-]+)\(([A-Za-z0-9_.-]+)\)$/;

/**
 * Reads `OS/ARCH[/VARIANT]`, also `windows(10.0.17763)/amd64`; common other names (x86_64, aarch64, armhf) are
 * understood, and what is implied is made explicit (arm is arm/v7) or dropped (arm64/v8 is arm64).
 *
 * @throws VarveError `PLATFORM_INVALID`
 */
export function parsePlatform(text: string): Platform {
  const [os = "", architecture, variant, ...more] = text.trim().split("/");
  const versioned = OS_WITH_VERSION.exec(os);
  const parts = [versioned?.[1] ?? os, architecture, variant].filter((part) => part !== undefined);
  if (architecture === undefined || more.length > 0 || !parts.every((part) => PART.test(part))) {
    throw new VarveError("PLATFORM_INVALID", `not a platform: ${JSON.stringify(text.slice(0, 160))}`);
  }
  return normalize({
    os: versioned?.[1] ?? os,
    architecture,
    ...(variant !== undefined && { variant }),
    ...(versioned?.[2] !== undefined && { osVersion: versioned[2] }),
  });
}

/** `linux/arm/v7`, `windows(10.0.17763.1)/amd64`; the inverse of {@link parsePlatform}. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant, osVersion } = normalize(platform);
  const system = osVersion === undefined ? os : `${os}(${osVersion})`;
  return [system, architecture, variant].filter((part) => part !== undefined).join("/");
}

const HOST_OS: Readonly<Record<string, string>> = { win32: "windows", sunos: "solaris" };
const HOST_ARCHITECTURE: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", mipsel: "mipsle" };

/** This machine's. For arm the variant is what Node was built for; amd64 has none (v1), as levels must be asked for. */
export function hostPlatform(): Platform {
  return platformOfProcess(process.platform, process.arch, process.config.variables);
}

/** {@link hostPlatform} for given values of `process.platform`, `process.arch` and Node's build variables. */
export function platformOfProcess(os: string, arch: string, variables: Readonly<Record<string, unknown>>): Platform {
  const version = variables["arm_version"];
  return normalize({
    os: HOST_OS[os] ?? os,
    architecture: arch === "ppc64" && endianness() === "LE" ? "ppc64le" : (HOST_ARCHITECTURE[arch] ?? arch),
    ...(arch === "arm" && (typeof version === "string" || typeof version === "number") && { variant: `v${version}` }),
  });
}

/** Whether an image for `candidate` runs where `wanted` is asked for, if perhaps not as well as another. */
export function platformMatches(candidate: Platform, wanted: Platform): boolean {
  return rank(candidate, acceptable(wanted), wanted) !== undefined;
}

/**
 * The best image of an index for a platform: the highest variant that it runs, then the earlier entry. An entry that
 * states no platform is taken only when none that does fits; attestations state `unknown/unknown` and never fit.
 */
export function choosePlatform(candidates: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  const order = acceptable(wanted);
  let best: { readonly descriptor: Descriptor; readonly rank: number } | undefined;
  for (const descriptor of candidates) {
    if (descriptor.platform === undefined) continue;
    const found = rank(descriptor.platform, order, wanted);
    if (found !== undefined && (best === undefined || found < best.rank)) best = { descriptor, rank: found };
  }
  return best?.descriptor ?? candidates.find((candidate) => candidate.platform === undefined && !isAttached(candidate));
}

/** Signatures and attestations that live in the index of the image they speak of. */
function isAttached(descriptor: Descriptor): boolean {
  const kind = descriptor.annotations?.["vnd.docker.reference.type"];
  return descriptor.artifactType !== undefined || kind !== undefined;
}

/** 0 is best; undefined does not run. */
function rank(candidate: Platform, order: readonly Platform[], wanted: Platform): number | undefined {
  const { os, architecture, variant, osVersion, osFeatures = [] } = normalize(candidate);
  const at = order.findIndex((p) => p.os === os && p.architecture === architecture && p.variant === variant);
  if (at < 0 || !osFeatures.every((feature) => wanted.osFeatures?.includes(feature))) return undefined;
  if (os !== "windows" || wanted.osVersion === undefined) return at;
  const distance = windowsDistance(osVersion, wanted.osVersion);
  // Versions weigh less than variants: there are far fewer than 2^20 revisions of a build.
  return distance === undefined ? undefined : at * 2 ** 22 + distance;
}

/**
 * A Windows container shares the kernel, so its build (10.0.BUILD) must be the host's; among those the newest revision
 * is best. An image without a version comes last.
 */
function windowsDistance(candidate: string | undefined, wanted: string): number | undefined {
  if (candidate === undefined) return 2 ** 21;
  const have = candidate.split(".");
  const want = wanted.split(".");
  if (want.slice(0, 3).some((part, at) => have[at] !== part)) return undefined;
  if (candidate === wanted) return 0;
  const revision = Number(have[3] ?? 0);
  return 2 ** 20 - (Number.isSafeInteger(revision) ? Math.min(Math.max(revision, 0), 2 ** 20 - 1) : 0);
}

/** All that a platform runs, best first: its own, lower variants, then the 32-bit sibling, as containerd has it. */
function acceptable(wanted: Platform): Platform[] {
  const { os, architecture, variant } = normalize(wanted);
  const level = Number(variant?.slice(1));
  const own: Platform = { os, architecture, ...(variant !== undefined && { variant }) };
  switch (architecture) {
    case "amd64":
      return [own, ...lower(os, "amd64", level, 1), { os, architecture: "386" }];
    case "arm":
      return [own, ...lower(os, "arm", level, 5)];
    case "arm64": {
      // Armv9 includes all of v8, and v8 is what an arm64 machine has at least.
      const below = variant === undefined ? [] : lower(os, "arm64", Math.floor(level) + 1, 8);
      return [own, ...below, ...lower(os, "arm", 9, 5)].filter(firstOfItsKind);
    }
    default:
      return [own];
  }
}

/** Variants below `level` down to `lowest`. */
function lower(os: string, architecture: string, level: number, lowest: number): Platform[] {
  if (!Number.isFinite(level) || level > 16) return [];
  const variants: Platform[] = [];
  for (let n = Math.ceil(level) - 1; n >= lowest; n--) variants.push(normalize({ os, architecture, variant: `v${n}` }));
  return variants;
}

function firstOfItsKind(platform: Platform, at: number, all: readonly Platform[]): boolean {
  return all.findIndex((p) => p.architecture === platform.architecture && p.variant === platform.variant) === at;
}

const OS_ALIASES: Readonly<Record<string, string>> = { macos: "darwin" };

const ARCHITECTURE_ALIASES: ReadonlyMap<string, { readonly architecture: string; readonly variant?: string }> = new Map(
  [
    ["x86_64", { architecture: "amd64" }],
    ["x86-64", { architecture: "amd64" }],
    ["x64", { architecture: "amd64" }],
    ["i386", { architecture: "386", variant: "" }],
    ["i486", { architecture: "386", variant: "" }],
    ["i586", { architecture: "386", variant: "" }],
    ["i686", { architecture: "386", variant: "" }],
    ["x86", { architecture: "386", variant: "" }],
    ["aarch64", { architecture: "arm64" }],
    ["armhf", { architecture: "arm", variant: "v7" }],
    ["armv7l", { architecture: "arm", variant: "v7" }],
    ["armv6l", { architecture: "arm", variant: "v6" }],
    ["armel", { architecture: "arm", variant: "v6" }],
    ["ppc64el", { architecture: "ppc64le" }],
    ["loongarch64", { architecture: "loong64" }],
  ],
);

/** One spelling for each platform. */
function normalize(platform: Platform): Platform {
  const { osVersion, osFeatures } = platform;
  const os = platform.os.toLowerCase();
  const name = platform.architecture.toLowerCase();
  const alias = ARCHITECTURE_ALIASES.get(name);
  const architecture = alias?.architecture ?? name;
  const variant = normalizeVariant(architecture, alias?.variant ?? platform.variant?.toLowerCase() ?? "");
  return {
    os: OS_ALIASES[os] ?? os,
    architecture,
    ...(variant !== "" && { variant }),
    ...(osVersion !== undefined && { osVersion }),
    ...(osFeatures !== undefined && { osFeatures }),
  };
}

function normalizeVariant(architecture: string, variant: string): string {
  const numbered = /^[0-9]/.test(variant) ? `v${variant}` : variant;
  switch (architecture) {
    case "amd64":
      return numbered === "v1" ? "" : numbered;
    case "arm":
      return numbered === "" ? "v7" : numbered;
    case "arm64":
      return numbered === "v8" || numbered === "v8.0" ? "" : numbered;
    default:
      return variant;
  }
}
