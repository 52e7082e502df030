/** Lower layers that lie in the same tree, as layers that are applied one over the other do. */
import type { Directory } from "./directory.ts";
import type { DirectoryTree } from "./directory-tree.ts";
import type { Lower } from "./lower.ts";
import type { Remover } from "./remover.ts";
import type { LowerTools } from "./tree-parts.ts";

export class LowerInPlace implements Lower {
  readonly #tree: DirectoryTree;
  readonly #remover: Remover;

  constructor({ tree, remover }: LowerTools) {
    this.#tree = tree;
    this.#remover = remover;
  }

  remove(parent: Directory, name: string): boolean {
    return this.#remover.remove(parent, name);
  }

  delete(directory: string, name: string): void {
    const parent = this.#tree.find(directory);
    if (parent !== undefined) this.#remover.hide(parent, name);
  }

  opaque(directory: string): void {
    const found = this.#tree.find(directory);
    if (found !== undefined) this.#remover.hideContent(found);
  }

  imply(_parent: Directory, _name: string, make: () => Directory): Directory {
    return make();
  }

  source(directory: string): Directory | undefined {
    return this.#tree.find(directory);
  }

  linked(_parent: Directory, _name: string, link: () => number): number {
    return link();
  }

  isHidden(): boolean {
    return false;
  }

  made(): void {}
  described(): void {}
  leftOut(): void {}
  madeNothing(): void {}
  passed(): void {}
}
