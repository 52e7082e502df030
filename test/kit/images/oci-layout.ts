/** Images as an OCI image layout (image-spec "image-layout.md"), for readers of directories. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestAlgorithm, digestHex } from "../../../src/oci/digest.ts";
import type { KitBlob, KitImage, KitIndex } from "./build-image.ts";

const REF_NAME = "org.opencontainers.image.ref.name";

/** Adds the image to the layout in this directory, which is made when there is none. */
export async function writeOciLayout(dir: string, image: KitImage | KitIndex, tag = "latest"): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const images = image.kind === "index" ? image.images : [image];
  for (const { blobs } of images) {
    for (const blob of blobs) await writeBlob(dir, blob);
  }
  for (const document of new Set<KitBlob>([...images, image])) await writeBlob(dir, document);
  const others = (await readIndex(dir)).filter(({ annotations }) => annotations?.[REF_NAME] !== tag);
  const entry = { ...image.descriptor, annotations: { [REF_NAME]: tag } };
  const index = { schemaVersion: 2, manifests: [...others, entry] };
  await writeFile(join(dir, "index.json"), JSON.stringify(index));
}

async function readIndex(dir: string): Promise<readonly Descriptor[]> {
  try {
    const index = JSON.parse(await readFile(join(dir, "index.json"), "utf8")) as { manifests: Descriptor[] };
    return index.manifests;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function writeBlob(dir: string, { digest, bytes }: KitBlob): Promise<void> {
  const folder = join(dir, "blobs", digestAlgorithm(digest));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, digestHex(digest)), bytes);
}
