/** The commands that are cut off, and what must be true of the store's names whenever that happens. */
import { join } from "node:path";
import type { PublishedImage } from "../lib/published-image.ts";
import { referenceOf, type Scenes, type StoreState } from "./scenes.ts";

export interface Operation {
  /** `pull`, `gc` ... */
  readonly command: string;
  readonly title: string;
  readonly store: StoreState;
  args(scenes: Scenes, dir: string): readonly string[];
  /** The names that are there before and after it. */
  names(scenes: Scenes): { readonly before: readonly string[]; readonly after: readonly string[] };
}

const ALIAS = "registry.example/alias:1";

const pullOf = (title: string, store: StoreState, pick: (scenes: Scenes) => PublishedImage): Operation => ({
  command: "pull",
  title,
  store,
  args: (scenes) => ["pull", referenceOf(scenes, pick(scenes))],
  names: (scenes) => {
    const before = store === "first" ? [referenceOf(scenes, scenes.first)] : [];
    return { before, after: [...before, referenceOf(scenes, pick(scenes))] };
  },
});

export const OPERATIONS: readonly Operation[] = [
  pullOf("a first pull", "empty", ({ first }) => first),
  pullOf("a pull that shares layers", "first", ({ second }) => second),
  pullOf("a pull that goes on", "partial", ({ first }) => first),
  {
    command: "unpack",
    title: "an unpack",
    store: "first",
    args: (scenes, dir) => ["unpack", referenceOf(scenes, scenes.first), join(dir, "tree")],
    names: (scenes) => same(referenceOf(scenes, scenes.first)),
  },
  {
    command: "gc",
    title: "a collection",
    store: "garbage",
    args: () => ["gc", "--partials-older-than", "0"],
    names: (scenes) => same(referenceOf(scenes, scenes.first)),
  },
  {
    command: "rm",
    title: "a removal",
    store: "both",
    args: (scenes) => ["rm", referenceOf(scenes, scenes.second)],
    names: (scenes) => {
      const first = referenceOf(scenes, scenes.first);
      return { before: [first, referenceOf(scenes, scenes.second)], after: [first] };
    },
  },
  {
    command: "tag",
    title: "a tag",
    store: "first",
    args: (scenes) => ["tag", referenceOf(scenes, scenes.first), ALIAS],
    names: (scenes) => {
      const first = referenceOf(scenes, scenes.first);
      return { before: [first], after: [first, ALIAS] };
    },
  },
];

function same(name: string): { before: readonly string[]; after: readonly string[] } {
  return { before: [name], after: [name] };
}
