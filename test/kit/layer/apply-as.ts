/** A program of its own: applies tars as whoever starts it. `node apply-as.ts ROOT TAR...` prints the report as JSON. */
import { readFileSync } from "node:fs";
import { applyAll } from "./apply-all.ts";

const [root = "", ...tars] = process.argv.slice(2);
const layers = tars.map((path) => readFileSync(path));
console.log(JSON.stringify(await applyAll(root, layers)));
