/** One delta job of a shared queue: gets both images as blobs into the worker's store, compares them, and pushes what comes of it. */
import { parsePlatform } from "../../../oci/platform.ts";
import type { TransferContext } from "../../../transfer/context.ts";
import type { DeltaCreated } from "../../../transfer/deltas/create-types.ts";
import { checkSharedDelta } from "../job-input.ts";

/** @throws VarveError as `checkSharedDelta`, `pull` and `createDelta`; the signal's reason */
export async function makeSharedDelta(context: TransferContext, input: unknown): Promise<DeltaCreated> {
  const { base, target, platform: name, ...options } = checkSharedDelta(input);
  const [{ pull }, { createDelta }] = await Promise.all([
    import("../../../transfer/pull.ts"),
    import("../../../transfer/deltas/create.ts"),
  ]);
  const platform = name === undefined ? {} : { platform: parsePlatform(name) };
  // A delta is made of the images' tars, whatever held them before; and their blobs are all that is read of them.
  const given = { ...platform, unpack: false, delta: "never" } as const;
  await pull(context, base, given);
  await pull(context, target, given);
  return createDelta(context, base, target, { ...options, ...platform });
}
