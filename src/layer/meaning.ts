/** What a tar member asks for, told by its name alone (OCI image-spec, layer.md): a thing to make, or something of lower layers to hide. */
import type { TarEntry } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import { isReserved, markerOf, quoteName, splitName } from "./names.ts";

export type Meaning =
  /** The root's own entry. */
  | { readonly kind: "root" }
  /** Stands at `name` in `directory`, which is not cleaned and may lead through links. */
  | { readonly kind: "member"; readonly directory: string; readonly name: string }
  /** Hides what lower layers have at `name` in `directory`. */
  | { readonly kind: "delete"; readonly directory: string; readonly name: string }
  /** Hides all that lower layers have in `directory`. */
  | { readonly kind: "opaque"; readonly directory: string }
  /** AUFS' own bookkeeping: no content, and no deletion. */
  | { readonly kind: "reserved" };

const ROOT: Meaning = { kind: "root" };
const RESERVED: Meaning = { kind: "reserved" };

/** @throws LAYER_INVALID for names with a NUL byte and whiteouts of nothing, of the directory itself or of its parent */
export function meaningOf({ name, linkName }: TarEntry): Meaning {
  if (name.includes("\0") || linkName.includes("\0")) {
    throw new VarveError("LAYER_INVALID", `a name holds a NUL byte: ${quoteName(name)}`);
  }
  const [directory, base] = splitName(name);
  if (base === undefined) return ROOT;
  const marker = markerOf(base);
  if (marker.kind === "none") return isReserved(name) ? RESERVED : { kind: "member", directory, name: base };
  if (marker.kind === "delete") return { kind: "delete", directory, name: marker.target };
  return marker.kind === "opaque" ? { kind: "opaque", directory } : RESERVED;
}
