/** Pictures of the page for docs/page.md: made when VARVE_SCREENSHOTS=1, so that other runs leave the tree as it is. */
import { join } from "node:path";
import type { Page } from "playwright-core";

const FOLDER = join(import.meta.dirname, "../../../docs/images");

export async function takePicture(page: Page, name: string): Promise<void> {
  if (process.env["VARVE_SCREENSHOTS"] !== "1") return;
  await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true, animations: "disabled" });
}
