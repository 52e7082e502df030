/** What the page does while things happen: pulls under way, the daemon gone and back, a token asked for, hands on the keyboard alone. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeFile } from "node:fs/promises";
import { startTestDaemon } from "../../kit/daemon/start-daemon.ts";
import { tempDir } from "../../kit/temp-dir.ts";
import { faultsOf } from "./axe.ts";
import { fleetRegistry, startFleet } from "./fleet.ts";
import { CHROMIUM, openBrowser, openPage } from "./open-browser.ts";
import { takePicture } from "./picture.ts";

describe.skipIf(CHROMIUM === undefined)("the page", () => {
  let browser: Browser;
  beforeAll(async () => {
    [browser] = await Promise.all([openBrowser(), fleetRegistry()]);
  });
  afterAll(async () => {
    await browser.close();
    await (await fleetRegistry()).close();
  });

  it("follows a pull from its beginning to its end: strips, speed, and what went wrong in words", async () => {
    const { daemon, proxy, client, name } = await startFleet({ holds: ["camera:1.9"], config: { jobs: { pulls: 1 } } });
    const { page, complaints } = await openPage(browser, `${daemon.origin}/#/pulls`);
    proxy.setRules([
      { path: /gateway\/blobs/, nth: 1, fault: { kind: "status", status: 503 } },
      { path: /gateway\/blobs/, fault: { kind: "slow", bytesPerSecond: 350_000 } },
      { path: /sensor\/blobs/, fault: { kind: "slow", bytesPerSecond: 10_000 } },
    ]);
    // While another one is at work it waits, so that the page follows it before anything happens.
    const other = await client.pulls.create({ reference: name("sensor:0.7") });
    await page.getByLabel("Image to pull").fill(name("gateway:2.4"));
    await page.getByRole("button", { name: "Pull", exact: true }).click();
    const job = page.getByRole("article");
    await job.getByText("it begins when others have ended").waitFor();
    await client.jobs.cancel(other.id);
    await job.getByText("running").waitFor();
    // Two of its layers are here from the other image, two come.
    await job.locator(".strips li").nth(1).waitFor();
    await job.getByRole("img", { name: /^All layers: .*network.*missing/ }).waitFor();
    await job.getByText("What happened").waitFor();
    expect(await job.locator(".told").innerText()).toMatch(/retry\s+.*503.*; try 2 in/);
    await job.getByRole("img", { name: /^Speed over time: .* over the network now/ }).waitFor();
    await job.locator("canvas").waitFor();
    await moreThan(job.locator(".figures dd").first(), 75);
    await takePicture(page, "page-live-light");
    expect(await faultsOf(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
    proxy.setRules([]);
    await job.getByText("done", { exact: true }).waitFor();
    await job.getByText(/came over the network for an image of 5\.71 MB/).waitFor();
    const [pull] = (await client.jobs.list({ kind: "pull" })).jobs;
    expect(pull?.state).toBe("done");
    // Other views know of it without being told to look.
    await page.goto(`${daemon.origin}/#/images`);
    await page.getByRole("row", { name: name("gateway:2.4") }).waitFor();
    expect(complaints).toEqual([]);
  });

  it("cancels a pull, and says what is kept of it", async () => {
    const { daemon, proxy, name } = await startFleet({ holds: [] });
    proxy.setRules([{ path: /blobs/, fault: { kind: "slow", bytesPerSecond: 60_000 } }]);
    const { page, complaints } = await openPage(browser, `${daemon.origin}/#/pulls`);
    await page.getByLabel("Image to pull").fill(name("camera:1.9"));
    await page.getByLabel("Image to pull").press("Enter");
    const job = page.getByRole("article");
    await job.getByRole("img", { name: /^All layers: .*network/ }).waitFor();
    await job.getByRole("button", { name: "Cancel" }).click();
    await job.getByText("the next pull of it goes on from there").waitFor();
    await page
      .getByRole("row", { name: name("camera:1.9") })
      .getByText("cancelled")
      .waitFor();
    // What it left is what could be freed.
    await page.goto(`${daemon.origin}/#/disk`);
    await page.getByLabel("Also what interrupted pulls left in the last week").check();
    await page.getByRole("button", { name: /^Free [1-9].*B…$/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: /^Free/ }).click();
    await page
      .getByText(/were freed\.$/)
      .first()
      .waitFor();
    expect(complaints).toEqual([]);
  });

  it("tells what is wrong with what was asked for, and what to do about it", async () => {
    const { daemon } = await startFleet({ holds: [] });
    const { page } = await openPage(browser, `${daemon.origin}/#/pulls`);
    await page.getByLabel("Image to pull").fill("Not A Reference");
    await page.getByRole("button", { name: "Pull", exact: true }).click();
    const alert = page.getByRole("alert");
    await alert.getByText("REFERENCE_INVALID").waitFor();
    expect(await alert.innerText()).toContain("names are in lower case");
    await page.goto(`${daemon.origin}/#/jobs/no-such-job`);
    await page.getByRole("alert").getByText("JOB_NOT_FOUND").waitFor();
  });

  it("says when the daemon is gone, and goes on by itself when it is back", async () => {
    const first = await startFleet({ holds: ["sensor:0.7"] });
    const { page } = await openPage(browser, `${first.daemon.origin}/#/jobs`);
    await page.getByRole("status").getByText("live").waitFor();
    await first.daemon.stop();
    await page.getByRole("alert").getByText("The daemon does not answer").waitFor();
    // What was known is still there.
    expect(await page.getByRole("row", { name: /sensor:0\.7/ }).count()).toBe(1);
    expect(await faultsOf(page)).toEqual([]);
    const again = await startTestDaemon({
      root: first.daemon.root,
      config: { listen: { address: first.daemon.host } },
    });
    await page.getByRole("status").getByText("live").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    expect(again.host).toBe(first.daemon.host);
    expect(await page.getByRole("row", { name: /sensor:0\.7/ }).count()).toBe(1);
  });

  it("asks for a token where the daemon wants one, keeps it for the tab, and says when it is wrong", async () => {
    await using work = await tempDir();
    const tokenFile = `${work.path}/tokens`;
    const token = "0123456789abcdef0123456789abcdef";
    await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
    const daemon = await startTestDaemon({ config: { listen: { noAuth: false, tokenFile } } });
    const { page } = await openPage(browser, daemon.origin);
    await page.getByRole("heading", { name: "This daemon wants a token" }).waitFor();
    expect(await faultsOf(page)).toEqual([]);
    await page.getByLabel("Token").fill("fedcba9876543210fedcba9876543210");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("The daemon does not know this token").waitFor();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { name: "No images yet" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "No images yet" }).waitFor();
    const other = await openPage(browser, daemon.origin);
    await other.page.getByRole("heading", { name: "This daemon wants a token" }).waitFor();
  });

  it("is used with the keyboard alone", async () => {
    const { daemon, name } = await startFleet({ holds: ["sensor:0.7", "runner:18"] });
    const { page, complaints } = await openPage(browser, daemon.origin, { reducedMotion: "reduce" });
    await page.locator(".stratum").first().waitFor();
    await page.keyboard.press("Tab");
    expect(await focused(page)).toContain("Skip to the content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    // One stop for all layers of all images; arrows go on from there, up in an image and over to the next.
    expect(await focused(page)).toContain(`${name("runner:18")}, layer 1 of 4`);
    await page.keyboard.press("ArrowUp");
    expect(await focused(page)).toContain(`${name("runner:18")}, layer 2 of 4`);
    await page.keyboard.press("ArrowRight");
    expect(await focused(page)).toContain(`${name("sensor:0.7")}, layer 2 of 2`);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Also in 1 image" }).waitFor();
    // On to what can be done with it, and back out of the question whether it is to be done.
    await tabTo(page, "Remove…");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Remove this image?" }).waitFor();
    await page.getByRole("button", { name: "Leave it" }).and(page.locator(":focus")).waitFor();
    expect(await focused(page)).toContain("Leave it");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Remove…" }).and(page.locator(":focus")).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Leave it" }).and(page.locator(":focus")).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: name("sensor:0.7") }).waitFor({ state: "detached" });
    expect(await page.getByRole("row", { name: name("runner:18") }).count()).toBe(1);
    // To another view, where the focus follows; and light is turned to dark.
    await page.reload();
    await page.locator(".stratum").first().waitFor();
    await tabTo(page, "Jobs");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Jobs", level: 1 }).waitFor();
    await page.locator("main:focus").waitFor();
    await page.keyboard.press("Shift+Tab");
    expect(await focused(page)).toContain("Theme: auto");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Theme: light" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Theme: dark" }).waitFor();
    expect(await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")).toBe("rgb(16, 23, 26)");
    await page.reload();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
    expect(complaints).toEqual([]);
  });
});

/** What the focus is on, and that it can be seen. */
async function focused(page: Page): Promise<string> {
  const [name, outline] = await page.evaluate<[string, string]>(`(() => {
    const element = document.activeElement;
    const ring = element.querySelector(".stratum-focus");
    const seen = ring === null ? getComputedStyle(element).outlineStyle : getComputedStyle(ring).stroke;
    return [element.getAttribute("aria-label") ?? element.textContent, seen];
  })()`);
  expect({ name, isSeen: outline !== "none" }).toEqual({ name, isSeen: true });
  return name;
}

async function tabTo(page: Page, name: string): Promise<void> {
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press("Tab");
    if ((await focused(page)).includes(name)) return;
  }
  throw new Error(`the tab key does not come to ${name}`);
}

/** Waits until the figure, a percentage, has passed this. */
async function moreThan(figure: ReturnType<Page["locator"]>, percent: number): Promise<void> {
  await expect
    .poll(async () => Number.parseInt(await figure.innerText(), 10), { timeout: 20_000 })
    .toBeGreaterThan(percent);
}
