/** What axe finds wrong with a page for people who do not see, hear or point as others do. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";

/** Its script is evaluated from outside, because the page's policy lets nothing in. */
const SOURCE = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Serious and critical faults, each with where it is. @param only rules to be held to; default: all */
export async function faultsOf(page: Page, ...only: readonly string[]): Promise<string[]> {
  await page.evaluate(await SOURCE);
  const options = JSON.stringify({ resultTypes: ["violations"], ...(only.length > 0 && { runOnly: only }) });
  const { violations } = await page.evaluate<AxeResults>(`axe.run(document, ${options})`);
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}
