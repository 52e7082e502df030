/** Unpacks a layer behind the front of its file, or reads it through at least, and holds it to the DiffID that the image's config says. */
import { VarveError } from "../errors/varve-error.ts";
import type { LayerCheck } from "../layer/check-layer.ts";
import type { LayerTarget, UnpackedLayer } from "../layer/layer-target.ts";
import type { TarStreamOptions } from "../layer/tar-stream.ts";
import type { FrontFile } from "../layer/threads.ts";
import { digestAlgorithm } from "../oci/digest.ts";
import { formatReference } from "../oci/reference.ts";
import { UnpackMeter } from "../recipe/progress-meter.ts";
import type { TransferContext } from "./context.ts";
import type { UnpackTask } from "./present-layer.ts";

/** A check, and what was unpacked in the same pass. */
export interface Verified extends LayerCheck {
  readonly unpacked?: UnpackedLayer;
}

export interface VerifyOptions extends Pick<TarStreamOptions, "isTar" | "vouched"> {
  readonly signal: AbortSignal;
  /** Default: as the threads do. */
  readonly decompressor?: "builtin";
  /** Default: the layer is only read through. */
  readonly target?: LayerTarget | undefined;
}

/** @throws VarveError `DIFFID_MISMATCH`, `LAYER_INVALID`, `COMPRESSION_INVALID`, and as `LayerThreads.unpack` */
export async function verifyLayer(
  { threads, onProgress }: TransferContext,
  { blob, diffId, reference }: UnpackTask,
  file: FrontFile,
  { target, ...options }: VerifyOptions,
): Promise<Verified> {
  const reading = { ...options, algorithm: digestAlgorithm(diffId) };
  let verified: Verified;
  if (target === undefined) verified = await threads.check(file, reading);
  else {
    const meter = new UnpackMeter({ digest: blob.digest, emit: onProgress });
    let before = 0;
    const unpacked = await threads.unpack(file, target, {
      ...reading,
      onProgress(done) {
        meter.advance(done - before, 0);
        before = done;
      },
    });
    const { entries } = unpacked.report;
    meter.advance(0, entries);
    meter.finish();
    verified = { diffId: unpacked.diffId, size: unpacked.size, entries, unpacked };
  }
  if (verified.diffId === diffId) return verified;
  throw new VarveError(
    "DIFFID_MISMATCH",
    `${formatReference(reference)}: layer ${blob.digest} unpacks to ${verified.diffId}, its config says ${diffId}`,
    { detail: { digest: blob.digest, expected: diffId, computed: verified.diffId } },
  );
}
