/** One image of a source, down to the config: what unpacking, inspecting and copying start from. */
import { VarveError } from "../errors/varve-error.ts";
import { checkLayers, parseImageConfig, type ImageConfig } from "../oci/config.ts";
import { MAX_DOCUMENT_BYTES, type Index, type Manifest } from "../oci/manifest.ts";
import { isConfigType, isLayerType } from "../oci/media-types.ts";
import { hostPlatform, type Platform } from "../oci/platform.ts";
import { MAX_INDEX_DEPTH, pickPlatform } from "./pick-platform.ts";
import { StoreSource } from "./transports/store.ts";
import type { ImageSource } from "./transports/types.ts";
import { collect } from "./transports/verified.ts";

export interface OpenImage {
  readonly root: Manifest | Index;
  readonly manifest: Manifest;
}

/** The manifest of a platform: as asked for, else the one that was pulled, else this machine's. */
export async function openManifest(
  source: ImageSource,
  name: string,
  platform: Platform | undefined,
): Promise<OpenImage> {
  const root = await source.root();
  const pulled = platform === undefined && source instanceof StoreSource ? await source.manifest() : root;
  let current = pulled;
  for (let depth = 1; current.kind === "index"; depth++) {
    if (depth >= MAX_INDEX_DEPTH) throw new VarveError("MANIFEST_INVALID", `${name}: indexes are nested too deep`);
    current = await source.document(pickPlatform(current, platform ?? hostPlatform(), name));
  }
  return { root, manifest: current };
}

export async function readConfigBytes(
  source: ImageSource,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return collect(source.blob(manifest.config, signal), MAX_DOCUMENT_BYTES, `config ${manifest.config.digest}`);
}

/** @throws VarveError `MEDIA_TYPE_UNSUPPORTED` for artifacts and virtual machines, `CONFIG_INVALID`, `MANIFEST_INVALID` */
export async function readImageConfig(
  source: ImageSource,
  manifest: Manifest,
  name: string,
  signal: AbortSignal,
): Promise<ImageConfig> {
  const { config, layers } = manifest;
  if (!layers.every(({ mediaType }) => isLayerType(mediaType))) {
    (await import("./disks/refuse-machine.ts")).refuseMachine(manifest, name);
  }
  if (!isConfigType(config.mediaType)) {
    throw new VarveError(
      "MEDIA_TYPE_UNSUPPORTED",
      `${name} is no container image: its config is of type ${config.mediaType}`,
    );
  }
  const parsed = parseImageConfig(await readConfigBytes(source, manifest, signal), { expected: config });
  checkLayers(manifest, parsed);
  return parsed;
}
