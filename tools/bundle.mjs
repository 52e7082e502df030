// Makes dist/ out of src/: few files instead of hundreds, because Node takes a quarter of a millisecond for each, which would be most of
// what a short command costs. What is imported on demand stays apart. Dependencies are not bundled. Types are made by tsc.
//
//   node tools/bundle.mjs [DIR]
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { rolldown } from "rolldown";

const root = join(import.meta.dirname, "..");
const src = join(root, "src");
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const at = (file) => join(src, file);

/** What every command loads, and with it all that this imports: one file. */
const START = new Set(["main.ts"].map(at));

/** What a pull that finds everything in the store loads beyond that: another. */
const SHORT_PULL = new Set(
  [
    "cli/commands/pull.ts",
    "cli/progress/display-session.ts",
    "registry/client.ts",
    "store/store.ts",
    "sys/end-process.ts",
    "transfer/pull.ts",
    "workers/threads-on-demand.ts",
  ].map(at),
);

const modules = globSync("**/*.ts", { cwd: src, exclude: ["**/*.test.ts", "**/*.suite.ts"] }).map((file) => {
  return { file, text: readFileSync(at(file), "utf8") };
});
/** They look for something beside themselves, so they keep their places, and so does what they look for. */
const placed = modules.filter(({ text }) =>
  /new URL\([^;]*import\.meta\.url|import\.meta\.(dirname|filename)/.test(text),
);
const sought = placed.flatMap(({ file, text }) =>
  [...text.matchAll(/"(\.\.?\/[^"]+)\.js"/g)].map(([, path]) => join(dirname(file), `${path}.ts`)),
);

const nameOf = (file) => file.replace(/\.ts$/, "");
const entries = ["main.ts", "index.ts", ...sought];
const fixed = new Set(placed.map(({ file }) => nameOf(file)));
const bundle = await rolldown({
  input: Object.fromEntries(entries.map((file) => [nameOf(file), at(file)])),
  platform: "node",
  external: Object.keys(dependencies),
  checks: { ineffectiveDynamicImport: false },
});
const { output } = await bundle.write({
  dir: process.argv[2] ?? join(root, "dist"),
  cleanDir: true,
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: ({ name }) => (fixed.has(name) ? "[name].js" : "chunks/[name].js"),
  codeSplitting: {
    groups: [
      { name: "start", test: (id) => START.has(id), priority: 3 },
      ...placed.map(({ file }) => ({ name: nameOf(file), test: (id) => id === at(file), priority: 1 })),
      { name: "short-pull", test: (id) => SHORT_PULL.has(id), priority: 2 },
    ],
  },
});
await bundle.close();

const places = new Map(output.flatMap(({ moduleIds = [], fileName }) => moduleIds.map((id) => [id, fileName])));
for (const file of [...entries.slice(2), ...placed.map((module) => module.file)]) {
  const expected = `${nameOf(file)}.js`;
  if (places.get(at(file)) !== expected) throw new Error(`${file} has become part of ${places.get(at(file))}`);
}
