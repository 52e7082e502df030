/** What `copy`, `push` and `convert` take alike. */
import type { CopyOptions } from "../transfer/copy.ts";
import { VarveError } from "../errors/varve-error.ts";
import { parseSize } from "./parse-values.ts";
import type { Flags, Settings } from "./settings.ts";

/** @throws VarveError `USAGE` */
export function copyFlags(flags: Flags, { platform, concurrency }: Settings): CopyOptions {
  const { chunkSize } = flags;
  return {
    all: flags["all"] === true,
    referrers: flags["referrers"] === true,
    ...(typeof chunkSize === "string" && { chunkSize: parseChunkSize(chunkSize) }),
    ...(platform && { platform }),
    ...(concurrency !== undefined && { concurrency }),
  };
}

function parseChunkSize(text: string): number {
  const bytes = parseSize("--chunk-size", text);
  if (bytes > 0) return bytes;
  throw new VarveError("USAGE", "--chunk-size takes at least a byte");
}
