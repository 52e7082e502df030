/** Each view with what a real daemon holds: what it says, that everybody can use it, in light and dark, on a phone. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { faultsOf } from "./axe.ts";
import { fleetRegistry, HELD, startFleet, UPDATE, type Fleet } from "./fleet.ts";
import { CHROMIUM, openBrowser, openPage } from "./open-browser.ts";
import { takePicture } from "./picture.ts";

/** Those that docs/page.md shows. */
const PICTURES = new Set(["images light", "updates dark", "deltas light", "disk light", "jobs light"]);

describe.skipIf(CHROMIUM === undefined)("the page", () => {
  let browser: Browser;
  beforeAll(async () => {
    [browser] = await Promise.all([openBrowser(), fleetRegistry()]);
  });
  afterAll(async () => {
    await browser.close();
    await (await fleetRegistry()).close();
  });

  it("shows what the daemon holds, would move and could free, alike in light and dark and on a phone", async () => {
    const fleet = await startFleet();
    await leaveSomethingToFree(fleet);
    for (const colorScheme of ["light", "dark"] as const) {
      const { page, complaints } = await openPage(browser, fleet.daemon.origin, { colorScheme });
      // Dark is other colours and nothing else.
      const rules = colorScheme === "dark" ? ["color-contrast"] : [];
      for (const [view, show] of Object.entries(VIEWS)) {
        await page.setViewportSize({ width: 1280, height: 900 });
        await page.goto(`${fleet.daemon.origin}/#/${view}`);
        await show(page, fleet);
        if (PICTURES.has(`${view} ${colorScheme}`)) await takePicture(page, `page-${view}-${colorScheme}`);
        expect({ view, colorScheme, faults: await faultsOf(page, ...rules) }).toEqual({
          view,
          colorScheme,
          faults: [],
        });
        await page.setViewportSize({ width: 360, height: 740 });
        await settled(page);
        expect({ view, width: await page.evaluate("document.documentElement.scrollWidth") }).toEqual({
          view,
          width: 360,
        });
        if (colorScheme === "dark" && view === "images") await takePicture(page, "page-phone");
      }
      expect(complaints).toEqual([]);
    }
  }, 180_000);

  it("says so where there is nothing yet", async () => {
    const { daemon } = await startFleet({ holds: [] });
    const { page, complaints } = await openPage(browser, daemon.origin);
    await page.getByRole("heading", { name: "No images yet" }).waitFor();
    for (const [view, words] of [
      ["pulls", "No pulls yet"],
      ["updates", "Nothing to update yet"],
      ["deltas", "No deltas yet"],
      ["disk", "The store is empty"],
      ["jobs", "No such jobs"],
    ] as const) {
      await page.goto(`${daemon.origin}/#/${view}`);
      await page.getByRole("heading", { name: words }).waitFor();
      expect({ view, faults: await faultsOf(page) }).toEqual({ view, faults: [] });
    }
    expect(complaints).toEqual([]);
  });
});

/** A delta, an image that is gone again, and a job that failed. */
async function leaveSomethingToFree({ client, name }: Fleet): Promise<void> {
  const delta = await client.deltas.create({ base: name("gateway:2.3"), target: name("gateway:2.4") });
  const failing = await client.pulls.create({ reference: name("nothing:1") });
  expect((await client.jobs.wait(delta.id)).state).toBe("done");
  expect((await client.jobs.wait(failing.id)).error?.code).toBe("MANIFEST_UNKNOWN");
}

/** Goes to what the view is for, and holds what it says to what the daemon was given. */
const VIEWS: Readonly<Record<string, (page: Page, fleet: Fleet) => Promise<void>>> = {
  async images(page, { name }) {
    const layers = page.locator(".stratum");
    await layers.first().waitFor();
    expect(await layers.count()).toBe(18);
    expect(await page.locator(".table tbody tr").count()).toBe(HELD.length);
    // The base of three images, chosen in one of them, is shown in all.
    await page.getByRole("button", { name: `${name("gateway:2.3")}, layer 1 of 4` }).click();
    const details = page.getByRole("complementary");
    await details.getByRole("heading", { name: "Also in 2 images" }).waitFor();
    expect(await page.locator(".stratum.lit").count()).toBe(3);
    expect(await details.getByRole("button", { name: name("camera:1.9") }).count()).toBe(1);
    await page.mouse.move(0, 0);
  },
  async pulls(page, { name }) {
    const row = page.getByRole("row", { name: name("gateway:2.3") });
    await row.getByText("done").waitFor();
    expect(await page.getByRole("row", { name: name("nothing:1") }).innerText()).toContain("failed");
    await row.getByRole("link").click();
    await page.getByRole("article").getByText("came over the network for an image of 5.71 MB").waitFor();
    expect(await page.locator(".strips li").count()).toBe(4);
  },
  async updates(page, { client, name }) {
    await page.getByLabel("From the image here").selectOption(name("gateway:2.4"));
    await page.getByLabel("To the image in a registry").fill(name(UPDATE));
    await page.getByRole("button", { name: "Plan", exact: true }).click();
    await page.getByRole("heading", { name: /would have to come; 3 of 5 layers are here/ }).waitFor();
    const plan = await client.plans.create({ reference: name(UPDATE), platform: "linux/amd64" });
    const figure = await page.locator(".figures dd").first().innerText();
    expect(figure).toContain(`${Math.round(plan.bytes.network / 1000)} kB`);
    expect(await page.locator(".strips li").count()).toBe(5);
    expect(await page.getByText("pieces of zstd:chunked").count()).toBe(1);
    // Where from, as whoever does not see is told.
    expect(
      await page.getByRole("img", { name: /^The whole image: .*here before.*from this machine.*network/ }).count(),
    ).toBe(1);
  },
  async deltas(page, { client }) {
    await page.getByText("a delta image, made").waitFor();
    const { deltas } = await client.deltas.list();
    expect(await page.locator(".deltas li").count()).toBe(deltas.length);
    expect(await page.locator(".deltas").innerText()).toContain(`${Math.round((deltas[0]?.size ?? 0) / 1000)} kB`);
  },
  async disk(page, { client }) {
    await page.getByText("What images need").waitFor();
    const { totalBytes } = await client.df();
    await page
      .getByText(`${(totalBytes / 1e6).toFixed(1)} MB`)
      .first()
      .waitFor();
    expect(await page.locator(".needs li").count()).toBe(HELD.length + 1);
    await page.getByText("What could be freed").waitFor();
  },
  async jobs(page) {
    await page.getByRole("row").nth(1).waitFor();
    expect(await page.getByRole("row").count()).toBe(1 + HELD.length + 2);
    await page.getByLabel("State").selectOption("failed");
    await page.getByRole("row", { name: /nothing:1/ }).waitFor();
    expect(await page.getByRole("row").count()).toBe(2);
    await page.getByRole("link", { name: /nothing:1/ }).click();
    await page.getByRole("alert").getByText("check the name and the tag").waitFor();
    await page.getByLabel("State").selectOption("");
  },
};

/** Drawings follow the window in the next frames. */
async function settled(page: Page): Promise<void> {
  await page.evaluate("new Promise((settle) => requestAnimationFrame(() => requestAnimationFrame(settle)))");
}
