/**
 * Several mounts of which each may use those before it, made without showing any of them: a later one finds an earlier one by its
 * descriptor.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { OpenMount } from "../../sys/mount.ts";
import type { Mount } from "../types.ts";
import { openMount } from "./open-mount.ts";
import { parseMount, type ParsedMount } from "./parse-mount.ts";
import { withLoops } from "./with-loops.ts";

export interface Step {
  readonly mount: ParsedMount;
  /** Where it is named by later ones; undefined for the last. */
  readonly at: string | undefined;
}

export type Steps = readonly [Step, ...Step[]];

export function stepsOf(mounts: readonly Mount[]): Steps {
  const [first, ...rest] = mounts.map((mount) => ({ mount: parseMount(mount), at: mount.target }));
  const steps = [first, ...rest];
  if (first === undefined || steps.some((step, index) => (step?.at === undefined) !== (index === steps.length - 1))) {
    throw new VarveError("INTERNAL", "of several mounts all but the last have a target of their own");
  }
  return [first, ...rest];
}

export function lastOf(steps: Steps): Step {
  return steps.at(-1) ?? steps[0];
}

/** The last of the mounts, nowhere in the tree. Those before it are let go of: it has what it needs of them. */
export async function openAll(steps: Steps): Promise<OpenMount> {
  using stack = new DisposableStack();
  const places = new Map<string, string>();
  for (const { mount, at } of steps.slice(0, -1)) {
    const opened = stack.use(await withLoops(mount, openMount));
    places.set(at ?? "", opened.path);
  }
  return withLoops(moved(lastOf(steps).mount, places), openMount);
}

/** The mount with paths that stand for those where others would be mounted. */
function moved(mount: ParsedMount, places: ReadonlyMap<string, string>): ParsedMount {
  const place = (path: string): string => places.get(path) ?? path;
  return mount.type === "overlay"
    ? { ...mount, lower: mount.lower.map(place) }
    : { ...mount, source: place(mount.source) };
}
