import { describe, expect, it } from "vitest";
import { inTocRoom } from "./toc-room.ts";

const MIB = 1 << 20;

describe("the room for tables of contents", () => {
  it("is taken as it turns out to be needed, too", async () => {
    const { promise: waiting, reject } = Promise.withResolvers<object>();
    const first = inTocRoom(0, async (room) => {
      // Nobody else has any, so there is no bound.
      room.take(500 * MIB);
      return waiting;
    });
    const second = inTocRoom(0, async (room) => room.take(1) ?? {});
    await expect(second).rejects.toMatchObject({ code: "TOC_LIMIT" });
    reject(new Error("not fetched"));
    await expect(first).rejects.toThrow("not fetched");
  });

  it("has one of any size, and others only as long as all are not too large", async () => {
    const { promise: waiting, reject } = Promise.withResolvers<object>();
    const large = inTocRoom(500 * MIB, () => waiting);
    await expect(inTocRoom(MIB, async () => ({}))).rejects.toMatchObject({ code: "TOC_LIMIT" });
    reject(new Error("not fetched"));
    await expect(large).rejects.toThrow("not fetched");
    const tables = await Promise.all([60, 60].map((size) => inTocRoom(size * MIB, async () => ({ size }))));
    expect(tables).toHaveLength(2);
    await expect(inTocRoom(20 * MIB, async () => ({}))).rejects.toMatchObject({ code: "TOC_LIMIT" });
    expect(tables.map(({ size }) => size)).toEqual([60, 60]);
  });
});
