/** The ways in which an index is turned down, before it is written or as it is read. */
import { VarveError } from "../../errors/varve-error.ts";

/** LAYER_LIMIT: a sound tree, but the format has no room for it. */
export function unfit(what: string): VarveError {
  return new VarveError("LAYER_LIMIT", `an EROFS index cannot hold the tree: ${what}`, {
    hint: "use another driver of snapshots for this image",
  });
}

/** INDEX_INVALID: no tree, whoever made it. */
export function badTree(what: string): VarveError {
  return new VarveError("INDEX_INVALID", `no index can be made of this tree: ${what}`);
}

/** INDEX_INVALID: the bytes are no index that this program wrote; `position` is where in it. */
export function damaged(what: string, position: number): VarveError {
  return new VarveError("INDEX_INVALID", `the index is damaged: ${what}, at byte ${position}`, {
    detail: { position },
  });
}

/** A name as a message may show it: quoted, control characters escaped, cut to a readable length. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
}
