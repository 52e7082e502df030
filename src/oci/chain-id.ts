/** Chain IDs, OCI image-spec "config.md" §Layer ChainID: the name of a stack of layers, from what each contains. */
import { digestOf, type Digest } from "./digest.ts";

/** One chain ID for each layer, lowest first; the last is that of the whole image. Empty for an image without layers. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push(parent === undefined ? diffId : digestOf(`${parent} ${diffId}`));
  }
  return chain;
}
