// Checks the doors between rooms (.dependency-cruiser.mjs) and that the check saw the code at all: the tool is green on
// nothing when it cannot read TypeScript, so the numbers of modules and imports have a floor. It needs the compiler's
// JavaScript interface, which TypeScript 7 does not have; the alias package brings it.
import { registerHooks } from "node:module";

const FLOOR = 100;

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier.replace(/^typescript(?=$|\/)/, "@typescript/typescript6"), context),
});
const { cruise } = await import("dependency-cruiser");
const { default: extractTsConfig } = await import("dependency-cruiser/config-utl/extract-ts-config");
const { default: config } = await import("../.dependency-cruiser.mjs");

const { output } = await cruise(
  ["src", "web/src"],
  { ...config.options, ruleSet: { forbidden: config.forbidden }, validate: true },
  config.options.enhancedResolveOptions,
  { tsConfig: extractTsConfig("tsconfig.json") },
);
const { modules, summary } = output;
const own = modules.filter((module) => module.source.startsWith("src/") && module.source.endsWith(".ts"));
const imports = own.reduce((sum, module) => sum + module.dependencies.length, 0);
for (const { rule, from, to } of summary.violations) console.error(`${rule.severity} ${rule.name}: ${from} -> ${to}`);
console.log(`boundaries: ${own.length} modules, ${imports} imports, ${summary.violations.length} violations`);
if (own.length < FLOOR || imports < own.length) {
  console.error(`boundaries: expected at least ${FLOOR} modules and as many imports; did the tool read TypeScript?`);
  process.exit(1);
}
process.exit(summary.violations.length === 0 ? 0 : 1);
