/**
 * A layer that is here in another form than its image names: as its tar, or in another compression. Then nothing need be fetched to unpack
 * it, whoever it came from.
 */
import { toVarveError } from "../errors/from-system.ts";
import type { LayerTarget } from "../layer/layer-target.ts";
import { placeTar } from "../layer/place-tar.ts";
import { wholeFile } from "../layer/whole-file.ts";
import type { Digest } from "../oci/digest.ts";
import type { Store } from "../store/store.ts";
import { isContentVerdict } from "./content-verdict.ts";
import type { TransferContext } from "./context.ts";
import { heldTar } from "./held-tar.ts";
import type { UnpackTask } from "./present-layer.ts";
import { verifyLayer, type Verified } from "./verify-layer.ts";

export interface OtherForm {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Whether it is the tar itself. */
  readonly isTar: boolean;
  /** Of the blob that it is; undefined where it is part of an unpacked layer. */
  readonly blob?: Digest;
}

interface NamedLayer {
  readonly blob: { readonly digest: Digest };
  readonly diffId: Digest;
}

/** Nothing is checked: whoever reads it computes its DiffID. */
export async function findOtherForm(store: Store, layer: NamedLayer): Promise<OtherForm | undefined> {
  const blob = await findOtherBlob(store, layer);
  if (blob !== undefined) return blob;
  const tar = await heldTar(store, layer.diffId);
  return tar && { ...tar, isTar: true };
}

/** The same among blobs only, which are what their digests say. */
export async function findOtherBlob(
  { content, layers }: Store,
  { blob, diffId }: NamedLayer,
): Promise<OtherForm | undefined> {
  if (blob.digest !== diffId) {
    const tar = await content.stat(diffId);
    if (tar !== undefined) return { path: tar.path, size: tar.size, isTar: true, blob: diffId };
  }
  for (const { digest, verifiedAt } of await layers.findByDiffId(diffId)) {
    if (digest === blob.digest || verifiedAt.getTime() === 0) continue;
    const other = await content.stat(digest);
    if (other !== undefined) return { path: other.path, size: other.size, isTar: false, blob: digest };
  }
  return undefined;
}

export interface Left {
  readonly left: string;
}

/**
 * Unpacks it, or only reads it through where the driver applies layers as it binds them.
 * @returns what came of it, or why it is of no use after all; then the place to unpack to is spoilt
 * @throws what would stop any other way too
 */
export async function unpackOtherForm(
  context: TransferContext,
  task: UnpackTask,
  form: OtherForm,
  options: { readonly signal: AbortSignal; readonly target: LayerTarget | undefined },
): Promise<Verified | Left> {
  const { signal } = options;
  const target = form.isTar ? overTar(options.target, form.path) : options.target;
  try {
    const verified = await verifyLayer(context, task, wholeFile(form), { signal, target, isTar: form.isTar });
    if (target?.form === "erofs" && target.tar !== undefined) await placeTar(target.tar, target.directory);
    return verified;
  } catch (thrown) {
    const error = toVarveError(thrown, `reading ${form.path}`);
    if (!IS_LOST.has(error.code) && !isContentVerdict(error)) throw error;
    if (form.blob !== undefined) await context.store.content.removeDamaged(form.blob, { signal });
    return { left: error.message };
  }
}

/** It may be collected at any time, for nobody has promised it to this image; and what cannot be read may be had elsewhere. */
const IS_LOST: ReadonlySet<string> = new Set(["FILE_NOT_FOUND", "IO", "DECOMPRESSOR_FAILED"]);

/** The same place for a layer whose blob is here to stay: what gives its tar again is then for nothing. */
export function withoutSplit(target: LayerTarget | undefined): LayerTarget | undefined {
  if (target?.form !== "overlay") return target;
  const { split: _, ...rest } = target;
  return rest;
}

/** The same place for a layer whose tar is a file already. Only EROFS keeps tars. */
export function overTar(target: LayerTarget | undefined, tar: string): LayerTarget | undefined {
  return target?.form === "erofs" ? { ...target, tar } : target;
}
