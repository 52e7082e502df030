/** What the name of a tar member means inside a tree: its components, and whether it is a whiteout (OCI image-spec, layer.md). */
import { VarveError } from "../errors/varve-error.ts";

const WHITEOUT = ".wh.";
const RESERVED = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

/**
 * The components of a name, cleaned as text: empty ones and `.` go, `..` takes its predecessor away and stops at the root.
 * Nothing is left of a name that means the root.
 */
export function cleanName(name: string): string[] {
  const components: string[] = [];
  for (const component of name.split("/")) {
    if (component === "" || component === ".") continue;
    if (component === "..") components.pop();
    else components.push(component);
  }
  return components;
}

export type Marker =
  | { readonly kind: "none" }
  /** Hides all that lower layers have in the directory. */
  | { readonly kind: "opaque" }
  /** Hides what lower layers have under this name. */
  | { readonly kind: "delete"; readonly target: string }
  /** AUFS' own bookkeeping: no content, and no deletion. */
  | { readonly kind: "reserved" };

const NONE: Marker = { kind: "none" };

/**
 * Reads the last component of a name.
 * @throws LAYER_INVALID when it would delete nothing, the directory itself or its parent
 */
export function markerOf(base: string): Marker {
  if (!base.startsWith(WHITEOUT)) return NONE;
  if (base === OPAQUE) return { kind: "opaque" };
  if (base.startsWith(RESERVED)) return { kind: "reserved" };
  const target = base.slice(WHITEOUT.length);
  if (target === "" || target === "." || target === "..") {
    throw new VarveError("LAYER_INVALID", `whiteout without a name: ${quoteName(base)}`);
  }
  return { kind: "delete", target };
}

/** True for names inside AUFS' own directories (`.wh..wh.plnk/...`), which are no content either. */
export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED) || name.includes(`/${RESERVED}`);
}

/** A name as it may stand in a message: control characters and broken bytes are escaped, so none reaches a terminal. */
export function quoteName(name: string): string {
  const escaped = JSON.stringify(name).replaceAll(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return escaped.length > 300 ? `${escaped.slice(0, 300)}..."` : escaped;
}

/** A copy that shares no memory: what is cut from a string keeps all of that string alive. */
export function ownName(name: string): string {
  return name.length < 13 ? name : Buffer.from(name, "utf16le").toString("utf16le");
}

const SLASH = 47;

/**
 * The name of the directory and the name in it; the latter is undefined for the root itself. The directory's name is not
 * cleaned, unless the last component is `.` or `..`.
 */
export function splitName(name: string): [directory: string, base: string | undefined] {
  let end = name.length;
  while (end > 0 && name.charCodeAt(end - 1) === SLASH) end--;
  const slash = name.lastIndexOf("/", end - 1);
  const base = name.slice(slash + 1, end);
  if (base !== "" && base !== "." && base !== "..") return [slash < 0 ? "" : name.slice(0, slash), base];
  const components = cleanName(name);
  const last = components.pop();
  return [components.join("/"), last];
}
