import { describe, expect, it, vi } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { openStore } from "./store.ts";

const HOUR = 60 * 60 * 1000;
const DIGEST = digestOf("a layer");

describe("a lease whose process works for longer than it was taken for", () => {
  it("goes on, and comes back with what it protects when another process has swept it", async () => {
    await using dir = await tempDir();
    let now = 0;
    await using store = await openStore(dir.path, { clock: () => now });
    await using other = await openStore(dir.path, { clock: () => now });
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      await using lease = await store.leases.create();
      await lease.add(DIGEST);
      now = 20 * HOUR;
      vi.advanceTimersByTime(20 * HOUR);
      now = 40 * HOUR;
      await vi.waitFor(async () => expect(await other.leases.isLeased(DIGEST)).toBe(true));
      // Asleep for days: the other takes it for one of the dead.
      now = 100 * HOUR;
      expect(await other.leases.sweep()).toBe(1);
      expect(await other.leases.isLeased(DIGEST)).toBe(false);
      vi.advanceTimersByTime(6 * HOUR);
      await vi.waitFor(async () => expect(await other.leases.isLeased(DIGEST)).toBe(true));
      await lease.release();
      expect(vi.getTimerCount()).toBe(0);
      expect(await other.leases.isLeased(DIGEST)).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });
});
