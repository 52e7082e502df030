/** `npm run test:soak -- [--minutes 20] [--seed N] [--processes 4]` */
import { parseArgs } from "node:util";
import { tempDir } from "../kit/temp-dir.ts";
import { soak } from "./soak.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    processes: { type: "string", default: "4" },
  },
});
console.log(`seed ${values.seed}, ${values.minutes} minutes`);
await using dir = await tempDir("varve-soak-");
const failures = await soak({
  seed: Number(values.seed),
  dir: dir.path,
  milliseconds: Number(values.minutes) * 60_000,
  processes: Number(values.processes),
  layerBytes: 1_000_000,
  log: (line) => console.log(line),
});
console.log(failures.length === 0 ? "all right" : `${failures.length} failed:\n${failures.join("\n")}`);
process.exitCode = failures.length === 0 ? 0 : 1;
