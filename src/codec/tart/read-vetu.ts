/** The manifests of vetu (formats "tart" §6): several disks by name, of LZ4 frames cut at 500 MB compressed. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { annotation, ChunkChecks, chunkedDisk } from "./chunk-list.ts";
import type { DiskImage } from "./disk-image.ts";
import { VETU_ANNOTATIONS, VETU_TYPES } from "./names.ts";

/** Files of the machine's directory that a disk must not replace. */
const TAKEN: ReadonlySet<string> = new Set(["config.json", "kernel", "initramfs"]);
const MOST_NAME_LENGTH = 128;

/** @throws VarveError `MANIFEST_INVALID` */
export function readVetu(manifest: Manifest): DiskImage {
  const checks = new ChunkChecks(manifest);
  const { config, kernel, initramfs } = VETU_TYPES;
  const initramfsLayer = atMostOne(checks, manifest.layers, initramfs);
  const chunks = new Map<string, Descriptor[]>();
  for (const layer of manifest.layers.filter(({ mediaType }) => mediaType === VETU_TYPES.disk)) {
    const name = diskName(checks, layer);
    chunks.getOrInsertComputed(name, () => []).push(layer);
  }
  if (chunks.size === 0) throw checks.invalid("has no disk");
  return {
    format: "vetu",
    config: onlyOne(checks, manifest.layers, config),
    kernel: onlyOne(checks, manifest.layers, kernel),
    ...(initramfsLayer !== undefined && { initramfs: initramfsLayer }),
    disks: [...chunks].map(([name, blobs]) =>
      chunkedDisk(
        checks,
        name,
        blobs.map((blob) => part(checks, blob)),
      ),
    ),
    stacked: false,
    canonical: false,
  };
}

function part(checks: ChunkChecks, blob: Descriptor): Parameters<typeof chunkedDisk>[2][number] {
  const size = checks.count(blob, VETU_ANNOTATIONS.size);
  const { digest: key } = VETU_ANNOTATIONS;
  const digest = annotation(blob, key) === undefined ? undefined : checks.digest(blob, key);
  return { blob, facts: { coding: "lz4-frames", size, digest } };
}

/** It becomes a file's name beside others of the machine. */
function diskName(checks: ChunkChecks, layer: Descriptor): string {
  const name = annotation(layer, VETU_ANNOTATIONS.name) ?? "";
  const isName = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(name) && name.length <= MOST_NAME_LENGTH && !TAKEN.has(name);
  if (isName) return name;
  throw checks.invalid(`calls a disk ${JSON.stringify(name.slice(0, 80))}, which is no name of a disk`);
}

function atMostOne(checks: ChunkChecks, layers: readonly Descriptor[], type: string): Descriptor | undefined {
  const [layer, ...others] = layers.filter(({ mediaType }) => mediaType === type);
  if (others.length > 0) throw checks.invalid(`has several layers of type ${type}`);
  return layer;
}

function onlyOne(checks: ChunkChecks, layers: readonly Descriptor[], type: string): Descriptor {
  const layer = atMostOne(checks, layers, type);
  if (layer === undefined) throw checks.invalid(`has no layer of type ${type}`);
  return layer;
}
