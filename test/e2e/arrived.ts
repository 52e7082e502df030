/** How much a program has got, as its progress in JSON says. */
import type { ProgressEvent } from "../../src/recipe/progress.ts";

/** Bytes of all layers; those of earlier tries count. */
export function arrivedBytes(said: string): number {
  const done = new Map<string, number>();
  for (const line of said.split("\n")) {
    if (!line.startsWith('{"type":"progress"') || !line.endsWith("}")) continue;
    const event = JSON.parse(line) as ProgressEvent;
    if (event.type === "progress") done.set(event.digest, event.done);
  }
  return [...done.values()].reduce((sum, each) => sum + each, 0);
}
