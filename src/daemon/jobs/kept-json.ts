/** What came of a job as a queue keeps it: JSON of bounded size, whatever the work has made. */
import type { Job } from "./types.ts";

/** A result with all its layers and findings is seldom a hundredth of this. */
const MAX_RESULT_BYTES = 1 << 20;
const MAX_MESSAGE = 4096;

/**
 * The result as JSON. From one that is too large its longest lists are cut, and that is told among its warnings where it has any;
 * sums and names stay.
 */
export function keptResult(result: unknown): string {
  const text = JSON.stringify(result) ?? "null";
  if (text.length <= MAX_RESULT_BYTES) return text;
  const kept: Record<string, unknown> = { ...(result as object) };
  for (;;) {
    const longest = longestList(kept);
    if (longest === undefined) return "null";
    const list = kept[longest] as readonly unknown[];
    kept[longest] = list.slice(0, list.length >> 1);
    const left = JSON.stringify(withWarning(kept));
    if (left.length <= MAX_RESULT_BYTES) return left;
  }
}

export function keptError({ code, message, hint }: NonNullable<Job["error"]>): string {
  return JSON.stringify({ code, message: message.slice(0, MAX_MESSAGE), hint: hint.slice(0, MAX_MESSAGE) });
}

function withWarning(kept: Readonly<Record<string, unknown>>): object {
  const { warnings } = kept;
  return Array.isArray(warnings)
    ? { ...kept, warnings: [...warnings, "the result was too long to keep all of it"] }
    : kept;
}

function longestList(kept: Readonly<Record<string, unknown>>): string | undefined {
  const lists = Object.entries(kept).filter(([, value]) => Array.isArray(value) && value.length > 0);
  const sizes = lists.map(([name, value]) => [name, JSON.stringify(value).length] as const);
  return sizes.toSorted(([, a], [, b]) => b - a)[0]?.[0];
}
