/** Blobs of a place as forms of a layer. What lies under a digest's name and cannot be read as a blob is not there for us. */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ContentStore } from "../../store/content.ts";
import type { LayerForm } from "./layer-form.ts";

type Content = Pick<ContentStore, "stat">;

/** The layer's tar as a blob. */
export async function* plainTar(content: Content, diffId: Digest): AsyncGenerator<LayerForm> {
  const found = await look(content, diffId);
  if (found !== undefined) yield { kind: "tar", path: found.path };
}

/** @param tarSize bytes of the tar, where they were counted */
export async function* compressedBlob(content: Content, digest: Digest, tarSize?: number): AsyncGenerator<LayerForm> {
  const found = await look(content, digest);
  if (found !== undefined) yield { kind: "blob", ...found, ...(tarSize !== undefined && { tarSize }) };
}

async function look(content: Content, digest: Digest): ReturnType<Content["stat"]> {
  try {
    return await content.stat(digest);
  } catch (error) {
    if (isVarveError(error)) return undefined;
    throw error;
  }
}
