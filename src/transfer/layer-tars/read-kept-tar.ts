/** The tar of a layer as the blob that it would be, where it is held in another form: inflated, or as a tree with its tar-split. */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm, Digester } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import { HeldLayerTars } from "./held-layer-tars.ts";

const CHUNK_BYTES = 1 << 20;

export interface KeptTar extends AsyncDisposable {
  /**
   * From a byte on, in chunks that belong to the consumer.
   * @throws VarveError `DIGEST_MISMATCH` at the end of all of it, when it is not what it should be; `SOURCE_CHANGED`, `IO`, `INTERRUPTED`
   */
  read(start: number): AsyncGenerator<Uint8Array>;
}

/** @param blob whose digest is the layer's DiffID @returns undefined when the layer is held in no form @throws VarveError `NO_SPACE`, `INTERRUPTED` */
export async function openKeptTar(
  context: { readonly store: Store; readonly signal: AbortSignal },
  blob: Pick<Descriptor, "digest" | "size">,
): Promise<KeptTar | undefined> {
  await using opened = new AsyncDisposableStack();
  const tars = opened.use(new HeldLayerTars(context));
  let tar: SeekableTar;
  try {
    tar = opened.use(await tars.open(blob.digest));
  } catch (error) {
    if (isVarveError(error, "DELTA_BASE_MISSING")) return undefined;
    throw error;
  }
  if (tar.size !== blob.size) return undefined;
  const held = opened.move();
  return {
    read: (start) => readTar(tar, blob, start, context.signal),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function* readTar(
  tar: SeekableTar,
  { digest }: Pick<Descriptor, "digest">,
  start: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const digester = new Digester(digestAlgorithm(digest));
  for (let at = start; at < tar.size;) {
    signal.throwIfAborted();
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, tar.size - at));
    await tar.read(chunk, at);
    digester.update(chunk);
    at += chunk.length;
    yield chunk;
  }
  // Of a part only who puts it together with the rest can tell.
  if (start > 0) return;
  const computed = digester.digest();
  if (computed === digest) return;
  throw new VarveError("DIGEST_MISMATCH", `what is held of layer ${digest} gives ${computed}`, {
    hint: "varve fsck --repair gets what is damaged again",
    detail: { expected: digest, computed },
  });
}
