// Builds the daemon's page out of web/: where the daemon of a checkout finds it, or into the package.
//
//   node tools/build-page.mjs [--if-possible] [DIR]
//
// `--if-possible`: an installation without development dependencies lacks what builds it, and goes on without the page.
import { gzipSync } from "node:zlib";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = join(import.meta.dirname, "..");
const args = process.argv.slice(2);
const folder = args.find((arg) => !arg.startsWith("--"));
const outDir = folder === undefined ? join(root, "web/dist") : resolve(folder);

const vite = await import("vite").catch((error) => {
  if (error.code !== "ERR_MODULE_NOT_FOUND" || !args.includes("--if-possible")) throw error;
});
if (vite === undefined) {
  console.log("page: not built, because vite is not installed; varve serve works without it");
} else {
  await vite.build({ configFile: join(root, "web/vite.config.ts"), build: { outDir } });
  const files = readdirSync(outDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const gzipped = files.reduce(
    (bytes, { parentPath, name }) => bytes + gzipSync(readFileSync(join(parentPath, name)), { level: 9 }).length,
    0,
  );
  console.log(`page: ${(gzipped / 1000).toFixed(1)} kB with gzip`);
}
