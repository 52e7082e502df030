/**
 * What a store should hold after a worker's commands: the names that are its own, and which image each has. A command that was killed
 * leaves two possibilities for its names until the next look.
 */
import type { PublishedImage } from "../faults/lib/published-image.ts";

/** The image that a name stands for; undefined when there is none of the name. */
export type Held = PublishedImage | undefined;

export class Model {
  readonly #held = new Map<string, readonly Held[]>();

  /** What it may be. */
  of(name: string): readonly Held[] {
    return this.#held.get(name) ?? [undefined];
  }

  /** The names that have an image for sure. */
  names(): string[] {
    return [...this.#held].flatMap(([name, held]) => (held.every((image) => image !== undefined) ? [name] : []));
  }

  set(name: string, image: Held): void {
    this.#held.set(name, [image]);
  }

  /** It may be this one now, or still what it was. */
  maybe(name: string, image: Held): void {
    this.#held.set(name, [...new Set([...this.of(name), image])]);
  }

  /** A name was given to what another stands for, which may itself be open; `sure` unless the command was killed. */
  same(alias: string, name: string, { sure }: { readonly sure: boolean }): void {
    this.#held.set(alias, [...new Set([...(sure ? [] : this.of(alias)), ...this.of(name)])]);
  }

  /** @returns what differs from what the store has, in words; what was open is settled by what it has */
  compare(actual: ReadonlyMap<string, string>): string[] {
    const faults: string[] = [];
    for (const name of new Set([...this.#held.keys(), ...actual.keys()])) {
      const digest = actual.get(name);
      const possible = this.of(name);
      const match = possible.find((image) => image?.digest === digest);
      if (possible.some((image) => image?.digest === digest)) this.set(name, match);
      else
        faults.push(
          `${name} is ${digest ?? "not there"}, not ${possible.map((image) => image?.digest ?? "nothing").join(" or ")}`,
        );
    }
    return faults;
  }
}
