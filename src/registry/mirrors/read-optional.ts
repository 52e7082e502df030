/** Configuration files, which need not be there. */
import { readFile } from "node:fs/promises";
import { VarveError } from "../../errors/varve-error.ts";

/** The file's text, or undefined when there is none. */
export async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new VarveError("CONFIGURATION_INVALID", `${path} cannot be read: ${code ?? "unknown error"}`, { cause });
  }
}
