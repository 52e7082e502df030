/** What a pull did or would do, counted: the shape of `varve pull --json`. */
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import { formatPlatform } from "../oci/platform.ts";
import { addBytes, noBytes } from "../recipe/bytes.ts";
import type { PullDone, PullResult } from "./pull-result.ts";
import type { ResolvedImage } from "./resolve-image.ts";
import type { Tally } from "./tally.ts";

export interface PullFacts extends PullDone {
  readonly deltaDigest?: Digest;
  /** Whether the image's manifest is one that only the pull can make. Default false. */
  readonly isManifestOpen?: boolean;
  readonly tally: Tally;
  readonly startedAt: number;
}

export function reportPull(image: ResolvedImage, facts: PullFacts): PullResult {
  const { status, layers, disks, resumedBytes, snapshotter, warnings = [], deltaDigest, tally, startedAt } = facts;
  const bytes = layers.reduce((sum, layer) => addBytes(sum, layer.bytes), noBytes());
  // Documents count too, and tries that failed. A plan has moved nothing but documents, and tells what the rest would cost.
  bytes.network = tally.network + (status === "planned" ? bytes.network : 0);
  return {
    reference: image.name,
    digest: facts.isManifestOpen === true ? null : image.root.digest,
    ...(deltaDigest !== undefined && { deltaDigest }),
    mediaType: image.root.mediaType,
    platform: image.platform === undefined ? null : formatPlatform(image.platform),
    imageId: image.manifest.config.digest,
    chainId: topOf(image) ?? null,
    status,
    snapshotter: snapshotter ?? null,
    bytes: { ...bytes, total: bytes.network + bytes.local + bytes.data + bytes.zero },
    requests: tally.requests,
    retries: tally.retries,
    resumedBytes,
    durationMs: Math.round(performance.now() - startedAt),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    layers,
    ...(disks !== undefined && { disks }),
    warnings: [...image.warnings, ...tally.warnings, ...warnings],
  };
}

/** The ChainID of all of an image. */
export function topOf({ config }: ResolvedImage): Digest | undefined {
  return chainIds(config?.rootfs.diffIds ?? []).at(-1);
}
