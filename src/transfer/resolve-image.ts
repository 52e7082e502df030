/**
 * From a reference to the documents of one image: root (as the tag has it), manifest of the platform, config. What the store
 * holds is not asked for again; by digest everything may come from the store without a single request.
 */
import { formatOf } from "../codec/tart/format-of.ts";
import { VarveError } from "../errors/varve-error.ts";
import { parseImageConfig, checkLayers, type ImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import { parseManifest, type Index, type Manifest } from "../oci/manifest.ts";
import { isConfigType } from "../oci/media-types.ts";
import { formatPlatform, hostPlatform, platformMatches, type Platform } from "../oci/platform.ts";
import { formatReference, withDigest, type Reference } from "../oci/reference.ts";
import type { TransferContext } from "./context.ts";
import { fetchConfig } from "./fetch-config.ts";
import { heldBytes } from "./held-bytes.ts";
import { MAX_INDEX_DEPTH, pickPlatform } from "./pick-platform.ts";
import { secondTry } from "./second-try.ts";
import type { Tally } from "./tally.ts";

export interface ResolvedImage {
  readonly reference: Reference;
  /** Canonical name, as the store keeps it. */
  readonly name: string;
  readonly root: Manifest | Index;
  readonly manifest: Manifest;
  readonly configBytes: Uint8Array;
  /** Undefined for artifacts whose config is not an image's, and for virtual machines, whose config says nothing of layers. */
  readonly config: ImageConfig | undefined;
  readonly platform: Platform | undefined;
  /** All documents on the way from the root to the manifest. */
  readonly documents: readonly (Manifest | Index)[];
  /** Whether any document came over the network, because the store lacked it or had it damaged. */
  readonly fetched: boolean;
  readonly warnings: readonly string[];
}

export interface ResolveOptions {
  /** Default: this machine's. */
  readonly platform?: Platform;
  readonly tally: Tally;
  /** As in {@link ConfigOptions}. */
  readonly store?: { readonly wait: boolean };
}

export async function resolveImage(
  context: TransferContext,
  reference: Reference,
  options: ResolveOptions,
): Promise<ResolvedImage> {
  const root = await fetchRoot(context, reference, options.tally);
  const documents: (Manifest | Index)[] = [root];
  let current: Manifest | Index = root;
  let listed: Platform | undefined;
  while (current.kind === "index") {
    if (documents.length >= MAX_INDEX_DEPTH) {
      throw new VarveError("MANIFEST_INVALID", `${formatReference(reference)}: indexes are nested too deep`);
    }
    const chosen = pickPlatform(current, options.platform ?? hostPlatform(), formatReference(reference));
    listed = chosen.platform ?? listed;
    current = await fetchDocument(context, reference, chosen, options.tally);
    documents.push(current);
  }
  const manifest = current;
  let config: ImageConfig | undefined;
  // Whether a machine runs here is its hypervisor's matter; its stub of a config tells nothing of what is in the image.
  const hasConfig = isConfigType(manifest.config.mediaType) && formatOf(manifest) === undefined;
  const configBytes = await fetchConfig(context, reference, manifest, {
    ...options,
    check: (bytes) => (config = hasConfig ? readConfig(bytes, manifest) : undefined),
  });
  const platform = listed ?? platformOf(config);
  return {
    reference,
    name: formatReference(reference),
    root,
    manifest,
    configBytes,
    config,
    platform,
    documents,
    fetched: options.tally.network > 0,
    warnings: platformWarnings(reference, root, platform, options.platform),
  };
}

async function fetchRoot(context: TransferContext, reference: Reference, tally: Tally): Promise<Manifest | Index> {
  const { registry, signal, onProgress } = context;
  if (reference.digest !== undefined) {
    return fetchDocument(context, reference, { digest: reference.digest }, tally);
  }
  const found = await registry.resolve(reference, { signal, onEvent: tally.telling(onProgress) });
  return fetchDocument(context, reference, found, tally);
}

/** A manifest or index by digest: the store's copy, or the registry's. */
async function fetchDocument(
  { store, registry, signal, onProgress }: TransferContext,
  reference: Reference,
  wanted: { readonly digest: Digest; readonly size?: number; readonly mediaType?: string },
  tally: Tally,
): Promise<Manifest | Index> {
  const held = await heldBytes(store, wanted.digest);
  if (held !== undefined) return parseManifest(held, { expected: { digest: wanted.digest } });
  const ask = {
    digest: wanted.digest,
    ...(wanted.size !== undefined && { size: wanted.size }),
    signal,
    onEvent: tally.telling(onProgress),
  };
  return secondTry(
    () => registry.fetchManifest(withDigest(reference, wanted.digest), ask),
    ({ message: reason }) => onProgress({ type: "fallback", digest: wanted.digest, from: "first try", reason }),
  );
}

function readConfig(bytes: Uint8Array, manifest: Manifest): ImageConfig {
  const config = parseImageConfig(bytes, { expected: manifest.config });
  checkLayers(manifest, config);
  return config;
}

export function platformOf(config: ImageConfig | undefined): Platform | undefined {
  // Those of delta images say none.
  if (config === undefined || config.os === "") return undefined;
  const { os, architecture, variant } = config;
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

/** A lone manifest has no choice to offer: another platform than asked for is an error, than this machine's a warning. */
export function platformWarnings(
  reference: Reference,
  root: Pick<Manifest | Index, "kind">,
  platform: Platform | undefined,
  asked: Platform | undefined,
): string[] {
  if (root.kind === "index" || platform === undefined || platform.os === "") return [];
  const wanted = asked ?? hostPlatform();
  if (platformMatches(platform, wanted)) return [];
  const text = `${formatReference(reference)} is for ${formatPlatform(platform)} only`;
  if (asked === undefined) return [`${text}, this machine is ${formatPlatform(wanted)}`];
  throw new VarveError("PLATFORM_NOT_FOUND", `${text}, not for ${formatPlatform(asked)}`, {
    hint: `use --platform ${formatPlatform(platform)}`,
    detail: { platforms: [formatPlatform(platform)] },
  });
}
