/** Where something is in the drawing of images, and in which colour. */

/** A layer of an image, or an image as a whole. */
export interface Place {
  readonly name: string;
  /** From below. */
  readonly index: number | undefined;
}

/** The class that gives a layer its colour. */
export function sediment(shared: ReadonlyMap<string, number>, key: string): string {
  const at = shared.get(key);
  return at === undefined ? "sediment-own" : `sediment-${at % 8}`;
}

export function placeId({ name, index }: Place): string {
  return `${index ?? ""} ${name}`;
}
