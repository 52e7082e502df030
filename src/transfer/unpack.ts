/**
 * The use case "unpack": a root filesystem in a plain directory, from an image in the store, a layout or an archive; with
 * `bundle` an OCI runtime bundle (runtime-spec "bundle": config.json beside rootfs/). Layers are applied in order; the next one
 * is inflated while the last one is written.
 */
import { mkdir, opendir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { ApplyReport } from "../layer/report.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { isLayerType } from "../oci/media-types.ts";
import type { Platform } from "../oci/platform.ts";
import { makeDirectory } from "../sys/make-directory.ts";
import { applyLayers } from "./apply-layers.ts";
import { bundleConfig } from "./bundle-config.ts";
import type { TransferContext } from "./context.ts";
import { openManifest, readImageConfig, type OpenImage } from "./open-image.ts";
import { openSource } from "./open-place.ts";

export interface UnpackOptions {
  /** Default: the one that was pulled, else this machine's. */
  readonly platform?: Platform;
  /** Make an OCI runtime bundle: `DIR/config.json` and `DIR/rootfs`. Default false. */
  readonly bundle?: boolean;
}

export interface UnpackResult {
  readonly image: string;
  readonly digest: Digest;
  readonly imageId: Digest;
  readonly directory: string;
  readonly bundle: boolean;
  readonly layers: number;
  readonly entries: number;
  readonly files: number;
  /** Of file content written. */
  readonly bytes: number;
  readonly skipped: ApplyReport["skipped"];
  readonly warnings: readonly string[];
  readonly durationMs: number;
  readonly peakRssBytes: number;
}

/**
 * Makes the root filesystem of an image in `directory`, which must be empty or not exist.
 *
 * When it fails, what it made is taken away again, so that the same command can be given again.
 *
 * @throws VarveError `IMAGE_NOT_FOUND`, `TARGET_NOT_EMPTY`, `DIFFID_MISMATCH`, `LAYER_INVALID`, `NO_SPACE`, `PERMISSION` ...
 */
export async function unpack(
  context: TransferContext,
  image: string,
  directory: string,
  options: UnpackOptions = {},
): Promise<UnpackResult> {
  const startedAt = performance.now();
  const { bundle = false, platform } = options;
  await using source = await openSource(context, image);
  const { root, manifest } = await openManifest(source, image, platform);
  const config = await readImageConfig(source, manifest, image, context.signal);
  refuseUnknownLayers(manifest, image);
  const target = resolve(directory);
  const rootfs = bundle ? join(target, "rootfs") : target;
  const made = await makeTarget(target);
  try {
    if (bundle) await mkdir(rootfs);
    await announce(context, root, manifest, image);
    const report = await applyLayers(context, { source, manifest, config }, rootfs);
    if (bundle)
      await writeFile(join(target, "config.json"), `${JSON.stringify(await bundleConfig(config, rootfs), null, 2)}\n`);
    const { entries, files, bytes, skipped, warnings } = report;
    return {
      image,
      digest: root.digest,
      imageId: manifest.config.digest,
      directory: target,
      bundle,
      layers: manifest.layers.length,
      entries,
      files,
      bytes,
      skipped,
      warnings,
      durationMs: Math.round(performance.now() - startedAt),
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    };
  } catch (error) {
    // What went wrong matters more than what could not be taken away.
    await clear(target, made).catch(() => undefined);
    throw toVarveError(error, `unpacking into ${target}`);
  }
}

function refuseUnknownLayers(manifest: Manifest, image: string): void {
  const unknown = manifest.layers.find(({ mediaType }) => !isLayerType(mediaType));
  if (unknown === undefined) return;
  throw new VarveError("MEDIA_TYPE_UNSUPPORTED", `${image}: layer ${unknown.digest} is of type ${unknown.mediaType}`);
}

/** Tells of all layers before the first is begun, so that whoever looks on knows how much there is in all. */
async function announce(
  { store, onProgress }: TransferContext,
  { digest }: OpenImage["root"],
  { layers }: Manifest,
  reference: string,
): Promise<void> {
  onProgress({ type: "resolve", reference, digest });
  for (const layer of layers) {
    const total = (await store.layers.get(layer.digest))?.uncompressedSize ?? null;
    onProgress({ type: "unpack-queued", digest: layer.digest, total });
  }
}

/**
 * @returns whether the directory is new
 * @throws VarveError `TARGET_NOT_EMPTY`, `PATH_INVALID` for what is no directory, `PERMISSION`, `NO_SPACE` ...
 */
async function makeTarget(target: string): Promise<boolean> {
  try {
    if ((await makeDirectory(target)) !== undefined) return true;
    await using entries = await opendir(target);
    if ((await entries.read()) === null) return false;
  } catch (error) {
    const there = await stat(target).catch(() => undefined);
    if (there !== undefined && !there.isDirectory()) {
      throw new VarveError("PATH_INVALID", `${target} is no directory`, { hint: "choose a directory", cause: error });
    }
    throw toVarveError(error, `making ${target}`);
  }
  throw new VarveError("TARGET_NOT_EMPTY", `${target} is not empty`);
}

async function clear(target: string, made: boolean): Promise<void> {
  if (made) return rm(target, { recursive: true, force: true });
  for (const name of await readdir(target, { encoding: "buffer" })) {
    await rm(Buffer.concat([Buffer.from(`${target}/`), name]), { recursive: true, force: true });
  }
}
