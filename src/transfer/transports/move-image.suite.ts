/** What tests of sources and sinks share: an image moved from one to the other, and read back in full. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { parseImageName, type FileImageName } from "./name.ts";
import { openImageSink, openImageSource } from "./open.ts";
import type { ImageSink, ImageSource } from "./types.ts";
import { collect } from "./verified.ts";

const LIMIT = 64 * 1024 * 1024;

export interface ReadImage {
  readonly root: Manifest | Index;
  readonly manifests: readonly Manifest[];
  /** All blobs of all manifests. */
  readonly blobs: ReadonlyMap<Digest, Buffer>;
}

/** `oci:DIR:TAG` and the like, as an argument of the command line has it. */
export function fileName(text: string): FileImageName {
  const name = parseImageName(text);
  if (name.transport === "registry") throw new Error(`not a file: ${text}`);
  return name;
}

/** @returns the root's digest */
export async function moveImage(from: string, to: string): Promise<Digest> {
  await using source = await openImageSource(fileName(from));
  await using sink = await openImageSink(fileName(to));
  const root = await putImage(source, sink);
  await sink.commit();
  return root.digest;
}

/** All of an image but the commit, with all blobs at once. */
export async function putImage(source: ImageSource, sink: ImageSink, name?: string): Promise<Manifest | Index> {
  const root = await source.root();
  const manifests = await manifestsOf(source, root);
  await Promise.all(
    distinct(manifests).map(async (blob) => {
      if (!(await sink.has(blob))) await sink.putBlob(blob, source.blob(blob));
    }),
  );
  for (const manifest of manifests) if (manifest !== root) await sink.putDocument(manifest, { root: false });
  await sink.putDocument(root, { root: true, ...(name !== undefined && { name }) });
  return root;
}

export async function readImage(from: string): Promise<ReadImage> {
  await using source = await openImageSource(fileName(from));
  const root = await source.root();
  const manifests = await manifestsOf(source, root);
  const blobs = new Map<Digest, Buffer>();
  for (const blob of distinct(manifests)) blobs.set(blob.digest, await collect(source.blob(blob), LIMIT, blob.digest));
  return { root, manifests, blobs };
}

async function manifestsOf(source: ImageSource, root: Manifest | Index): Promise<Manifest[]> {
  if (root.kind === "manifest") return [root];
  const children = await Promise.all(root.manifests.map((descriptor) => source.document(descriptor)));
  return children.filter((child) => child.kind === "manifest");
}

function distinct(manifests: readonly Manifest[]): Descriptor[] {
  const all = manifests.flatMap(({ config, layers }) => [...layers, config]);
  return [...new Map(all.map((blob) => [blob.digest, blob])).values()];
}
