/** Layers of an image into snapshots, as a pull does it: each is unpacked without the others, all at once; then bound in their order. */
import { unpackLayer } from "../../../src/layer/unpack-layer.ts";
import type { UnpackedLayer } from "../../../src/layer/layer-target.ts";
import { chainIds } from "../../../src/oci/chain-id.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { Snapshots } from "../../../src/snapshot/service.ts";
import { piecesOf } from "../layer/apply-all.ts";

export interface BindTarsOptions {
  /** Name of what they stand on, and its DiffIDs. Default: nothing. */
  readonly on?: readonly Digest[];
  readonly ready?: boolean;
  /** Without the tars at hand when they are bound. Default false. */
  readonly withoutTars?: boolean;
}

/** @param tars from the lowest up @returns the names (ChainIDs) of the snapshots @throws what unpacking or binding throws */
export async function bindTars(
  snapshots: Snapshots,
  tars: readonly Uint8Array[],
  { on = [], ready = false, withoutTars = false }: BindTarsOptions = {},
): Promise<Digest[]> {
  await using stack = new AsyncDisposableStack();
  const diffIds = tars.map((tar) => digestOf(tar));
  const staged = await Promise.all(
    tars.map(async (tar, index) => {
      const layer = stack.use(await snapshots.stage(diffIds[index]!));
      const { target } = layer;
      const unpacked: UnpackedLayer | undefined = target && (await unpackLayer(piecesOf(tar), target, {}));
      return { key: layer.key, unpacked, tar };
    }),
  );
  const names = chainIds([...on, ...diffIds]);
  for (const [index, { key, unpacked, tar }] of staged.entries()) {
    const at = on.length + index;
    const [name, parent] = [names[at]!, names[at - 1]];
    await snapshots.commit(name, key, {
      ...(parent !== undefined && { parent }),
      ...(unpacked !== undefined && { layer: unpacked }),
      ...(!withoutTars && { tar: () => Promise.resolve(piecesOf(tar)) }),
      ready: ready && index === staged.length - 1,
    });
  }
  return names.slice(on.length);
}
