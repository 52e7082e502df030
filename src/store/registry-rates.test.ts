import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { openStore } from "./store.ts";

describe("how fast registries were", () => {
  it("is nothing at first, also in a store that is not there", async () => {
    await using dir = await tempDir();
    await using none = await openStore(`${dir.path}/none`, { readOnly: true });
    expect(await none.registryRates.fastest("host")).toBeUndefined();
    await using store = await openStore(dir.path);
    expect(await store.registryRates.fastest("host")).toBeUndefined();
  });

  it("is the fastest of the last four pulls of each", async () => {
    await using dir = await tempDir();
    {
      await using store = await openStore(dir.path);
      for (const rate of [9e9, 5.4, 3, 8, 6]) await store.registryRates.record("host:5000", rate);
      await store.registryRates.record("host:5001", 70e6);
    }
    await using store = await openStore(dir.path, { readOnly: true });
    expect(await store.registryRates.fastest("host:5000")).toBe(8);
    expect(await store.registryRates.fastest("host:5001")).toBe(70e6);
    expect(await store.registryRates.fastest("host")).toBeUndefined();
  });

  it("is remembered of so many registries", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, { sync: false });
    for (let at = 0; at <= 400; at++) await store.registryRates.record(`host${at}`, at + 1);
    expect(await store.registryRates.fastest("host0")).toBeUndefined();
    expect(await store.registryRates.fastest("host1")).toBe(2);
    expect(await store.registryRates.fastest("host400")).toBe(401);
  });
});
