/** What a pull uses deltas by: those of a delta image that it was asked for by name, or those that the registry has for its image. */
import { VarveError } from "../../errors/varve-error.ts";
import type { ImageConfig } from "../../oci/config.ts";
import type { Platform } from "../../oci/platform.ts";
import { TransferBudget } from "../../recipe/limiter.ts";
import type { TransferContext } from "../context.ts";
import { openDeltaRoots } from "../layer-tars/delta-roots.ts";
import { HeldLayerTars } from "../layer-tars/held-layer-tars.ts";
import type { ResolvedImage } from "../resolve-image.ts";
import type { Tally } from "../tally.ts";
import { ChainTars } from "./chain/chain-tars.ts";
import { DeltaPull } from "./delta-pull.ts";
import { RegistryDeltas } from "./discover/registry-deltas.ts";
import { measureDeltas } from "./measure-deltas.ts";
import { openDeltaImage } from "./open-delta-image.ts";
import type { DeltaPlace, LayerDeltas } from "./types.ts";

export type DeltaMode = "auto" | "always" | "never";

export interface DeltaOptions {
  /** Default `auto`. */
  readonly delta?: DeltaMode | undefined;
  /** Stores and OCI layouts that bases are looked for in, after the store and in this order. Default: none. */
  readonly deltaRoots?: readonly string[] | undefined;
}

/** @throws VarveError as `openDeltaRoots` */
async function openTars({ store, signal }: TransferContext, { deltaRoots = [] }: DeltaOptions): Promise<HeldLayerTars> {
  return new HeldLayerTars({ store, signal, roots: await openDeltaRoots(deltaRoots, signal) });
}

const NO_DELTAS: LayerDeltas = {
  isOnlyWay: false,
  of: () => Promise.resolve([]),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** For an image that is no delta. @throws VarveError as `openDeltaRoots` */
export async function deltasFor(
  context: TransferContext,
  image: ResolvedImage,
  { tally, ...options }: DeltaOptions & { readonly tally: Tally },
): Promise<DeltaPull> {
  const { delta = "auto" } = options;
  const held = await openTars(context, options);
  if (delta === "never") return new DeltaPull({ deltas: NO_DELTAS, tars: held });
  const tars = new ChainTars(context, held, tally);
  const deltas = new RegistryDeltas(context, {
    image,
    tars: () => Promise.resolve(tars),
    tally,
    chains: tars,
  });
  return new DeltaPull({ deltas, tars, mode: delta });
}

export interface NamedDeltaOptions extends DeltaOptions {
  readonly tally: Tally;
  readonly platform?: Platform | undefined;
  /** Whether layers are to be held unpacked. */
  readonly unpacks: () => Promise<boolean>;
  /** Move nothing. */
  readonly plan: boolean;
  readonly wait: boolean;
  /** Transfers at once. */
  readonly concurrency: number;
  /** Where the deltas come from. Default: the registry. */
  readonly place?: DeltaPlace;
}

/**
 * For an image that is one.
 * @returns the image that it makes, and the deltas
 * @throws VarveError `USAGE` where deltas are not to be used; as `openDeltaImage`
 */
export async function deltasOf(
  context: TransferContext,
  resolved: ResolvedImage & { readonly config: ImageConfig },
  options: NamedDeltaOptions,
): Promise<{ readonly image: ResolvedImage; readonly pull: DeltaPull }> {
  if (options.delta === "never") {
    throw new VarveError("USAGE", `${resolved.name} is a delta between images, and deltas are not to be used`, {
      hint: "leave out --delta never, or pull the image that the delta makes",
    });
  }
  const { tally, wait, concurrency, plan, place, platform } = options;
  await using opened = new AsyncDisposableStack();
  const tars = opened.use(await openTars(context, options));
  // What is begun by one that is cut off is found again.
  const lease = plan ? undefined : opened.use(await context.store.leases.create());
  await lease?.add(...resolved.manifest.layers.map(({ digest }) => digest));
  const { image, deltas } = await openDeltaImage(context, resolved, {
    ...(place === undefined ? { reference: resolved.reference } : { place }),
    tars,
    tally,
    platform,
    unpacks: options.unpacks,
    ...(!plan && {
      measure: (named, diffIds) =>
        measureDeltas(context, named, diffIds, { tars, wait, tally, budget: new TransferBudget({ concurrency }) }),
    }),
  }).catch(async (error: unknown) => {
    await lease?.leave(resolved.name).catch(() => {});
    throw error;
  });
  opened.move();
  return { image, pull: new DeltaPull({ deltas, tars, held: lease }) };
}
