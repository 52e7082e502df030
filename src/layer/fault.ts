/** Which coded error a system error is, when it came of putting a layer into a tree. */
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { quoteName } from "./names.ts";

/** What the kernel answers to names and sizes that no tree can have: the layer is at fault. */
const OF_THE_LAYER: ReadonlySet<string> = new Set([
  "ENAMETOOLONG",
  "ELOOP",
  "ENOTDIR",
  "EISDIR",
  "EFBIG",
  "EILSEQ",
  "EMLINK",
]);

/** `name` is the member's, or undefined for what is no member's doing. */
export function applyFault(error: unknown, name: string | undefined): VarveError {
  if (error instanceof VarveError) return error;
  const doing = name === undefined ? "cannot apply the layer" : `cannot apply ${quoteName(name)}`;
  const errno = (error as NodeJS.ErrnoException).code ?? "";
  if (OF_THE_LAYER.has(errno)) {
    const { message } = error as Error;
    return new VarveError("LAYER_INVALID", `${doing}: ${message}`, { cause: error, detail: { errno, name } });
  }
  const fault = toVarveError(error, doing);
  if (errno !== "EROFS") return fault;
  const hint = "choose a directory that can be written";
  return new VarveError("PERMISSION", fault.message, { cause: error, detail: fault.detail, hint });
}

/** For a root that cannot be opened: the caller's path is at fault, not a layer. */
export function rootFault(error: unknown, root: string): VarveError {
  if ((error as NodeJS.ErrnoException).code !== "ENOTDIR") return applyFault(error, undefined);
  return new VarveError("PATH_INVALID", `${root} is not a directory`, { cause: error });
}
