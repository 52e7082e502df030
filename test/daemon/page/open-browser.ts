/** Chromium without a screen, as the page's tests use it: whatever the page complains about fails the test. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { PAGE_FOLDER } from "../../../src/daemon/page/page-folder.ts";
import { findPeer } from "../../kit/peers.ts";

export const CHROMIUM = findPeer("chromium");

const WEB = join(import.meta.dirname, "../../../web/src");

/** Nothing but the page is to be fetched, and root may have no sandbox. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function openBrowser(): Promise<Browser> {
  if (CHROMIUM === undefined) throw new Error("chromium is missing");
  await expectBuilt();
  return chromium.launch({ executablePath: CHROMIUM, args: ARGS });
}

/** Tests of a page that is not what its sources say would be of no use. */
async function expectBuilt(): Promise<void> {
  const sources = await readdir(WEB, { recursive: true, withFileTypes: true });
  const files = sources.filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"));
  const changed = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).mtimeMs),
  );
  const built = await stat(join(PAGE_FOLDER, "index.html")).catch(() => undefined);
  if (built === undefined || built.mtimeMs < Math.max(...changed))
    throw new Error("build the page first: npm run build:page");
}

export interface Seen {
  readonly page: Page;
  /** What the console said as an error, exceptions, violations of the policy, and requests to anywhere else. */
  readonly complaints: string[];
}

/** A window of its own, with nothing kept from another one; closed with the test. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Seen> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin)) complaints.push(`a request to ${request.url()}`);
  });
  await page.addInitScript(`
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error("the policy forbids " + event.violatedDirective + ": " + event.blockedURI));
  `);
  await page.goto(url);
  return { page, complaints };
}
