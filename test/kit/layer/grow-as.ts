/**
 * A program of its own: grows stacks of layers in overlay form as whoever starts it.
 * `node grow-as.ts DIRECTORY trusted|user SEED COUNT` prints what came of them as JSON.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { growStack, type GrownStack } from "./grow-stack.ts";

const [directory = "", form, first, count] = process.argv.slice(2);
const grown: GrownStack[] = [];
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const base = join(directory, String(seed));
  mkdirSync(base);
  grown.push(await growStack(base, seed, 16, { userXattr: form === "user" }));
  rmSync(base, { recursive: true });
}
console.log(JSON.stringify(grown));
