/** What `commit` made, for people. */
import type { CommitResult } from "../../transfer/commit-image.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, plural } from "./units.ts";

export function renderCommit(result: CommitResult, { quiet }: View): string {
  const { snapshot, image, digest, base, layers } = result;
  if (quiet) return `${digest}\n`;
  const on = base === null ? "nothing" : sanitize(base);
  const lines = layers.map(({ size, entries }) => `  layer     ${plural(entries, "member")}, ${formatBytes(size)}\n`);
  return [
    `${sanitize(snapshot)}: committed as ${sanitize(image)}\n`,
    `  digest    ${digest}\n`,
    `  based on  ${on}\n`,
    ...lines,
  ].join("");
}
