/** The order in which images stand side by side: those that have their lowest layers in common are neighbours, as far up as it goes. */

export interface Core {
  readonly name: string;
  /** From the lowest layer up. */
  readonly layers: readonly CoreLayer[];
}

export interface CoreLayer {
  /** The same of layers that have the same content. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
}

export function byKinship<T extends Core>(images: readonly T[]): T[] {
  return kin([...images].sort(byName), 0);
}

function kin<T extends Core>(images: readonly T[], depth: number): T[] {
  if (images.length < 2) return [...images];
  const groups = new Map<string, T[]>();
  for (const image of images) {
    const key = image.layers[depth]?.key ?? "";
    groups.set(key, [...(groups.get(key) ?? []), image]);
  }
  // Groups come in the order of their first names; whose layers end here cannot be told apart any more.
  return [...groups].flatMap(([key, group]) => (key === "" ? group : kin(group, depth + 1)));
}

function byName(a: Core, b: Core): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Of each layer that more than one image has: its place among these, the largest gain first, so that it can be given a colour. */
export function sharedLayers(images: readonly Core[]): ReadonlyMap<string, number> {
  const seen = new Map<string, { size: number; images: number }>();
  for (const { layers } of images) {
    for (const { key, size } of new Map(layers.map((layer) => [layer.key, layer])).values()) {
      const known = seen.get(key);
      if (known === undefined) seen.set(key, { size, images: 1 });
      else known.images++;
    }
  }
  return new Map(
    [...seen]
      .filter(([, { images }]) => images > 1)
      .sort(([, a], [, b]) => b.size * (b.images - 1) - a.size * (a.images - 1))
      .map(([key], at) => [key, at]),
  );
}
