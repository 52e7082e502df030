/** `npm run bench -- NAME [OPTIONS]`: runs one benchmark and prints its table. Each writes its figures to bench/results/. */
import { readdirSync } from "node:fs";

const [name, ...args] = process.argv.slice(2);
const known = readdirSync(new URL("suites/", import.meta.url)).map((file) => file.replace(/\.ts$/, ""));
if (name === undefined || !known.includes(name)) {
  console.error(`usage: npm run bench -- NAME [OPTIONS]; NAME is one of: ${known.join(", ")}`);
  process.exit(2);
}
const suite = (await import(`./suites/${name}.ts`)) as { main: (args: readonly string[]) => Promise<void> };
await suite.main(args);
