import { describe, expect, it } from "vitest";
import { TransferBudget } from "./limiter.ts";

describe("TransferBudget", () => {
  it("gives slots in the order of asking, and those of a lower priority number first", async () => {
    const budget = new TransferBudget({ concurrency: 1 });
    const first = await budget.acquire();
    const order: string[] = [];
    const ask = async (name: string, priority: number): Promise<void> => {
      using _slot = await budget.acquire({ priority });
      order.push(name);
    };
    const all = [ask("later", 5), ask("a", 1), ask("b", 1), ask("first", 0)];
    first.release();
    await Promise.all(all);
    expect(order).toEqual(["first", "a", "b", "later"]);
    expect(budget).toMatchObject({ active: 0, waiting: 0, peak: 1 });
  });

  it("does not let a newcomer overtake those who wait", async () => {
    const budget = new TransferBudget({ concurrency: 1 });
    const order: number[] = [];
    const ask = async (place: number): Promise<void> => {
      using _slot = await budget.acquire();
      order.push(place);
    };
    const first = await budget.acquire();
    const second = ask(2);
    first.release();
    const third = ask(3);
    await Promise.all([second, third]);
    expect(order).toEqual([2, 3]);
  });

  it("lets those who wait give up, and loses no slot by it", async () => {
    const budget = new TransferBudget({ concurrency: 1 });
    const first = await budget.acquire();
    const stop = new AbortController();
    const waiting = budget.acquire({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(budget.acquire({ signal: stop.signal })).rejects.toThrow("enough");
    expect(budget.waiting).toBe(0);
    first.release();
    first.release();
    expect(budget.active).toBe(0);
    using slot = await budget.acquire();
    expect(slot.buffers).toHaveLength(3);
  });

  it("gives the slot to whoever was granted it, even when aborted in the same turn", async () => {
    const budget = new TransferBudget({ concurrency: 1 });
    const first = await budget.acquire();
    const stop = new AbortController();
    const waiting = budget.acquire({ signal: stop.signal });
    first.release();
    stop.abort();
    (await waiting).release();
    expect(budget.active).toBe(0);
  });

  it.each([
    [4, 64 << 20, 4, 512 << 10],
    [4, 3 << 20, 4, 256 << 10],
    [8, 1 << 20, 5, 68 << 10],
    [4, 1, 1, 64 << 10],
    [0, 64 << 20, 1, 512 << 10],
    [NaN, 64 << 20, 1, 512 << 10],
  ])(
    "%d transfers in %d bytes are %d transfers with buffers of %d",
    async (concurrency, memoryBytes, slots, buffer) => {
      const budget = new TransferBudget({ concurrency, memoryBytes });
      expect(budget.concurrency).toBe(slots);
      expect(budget.bufferBytes).toBe(buffer);
      const held = await Promise.all(Array.from({ length: slots }, () => budget.acquire()));
      expect(budget.memoryBytes).toBe(slots * 3 * buffer);
      expect(budget.memoryBytes).toBeLessThanOrEqual(Math.max(memoryBytes, 192 << 10));
      for (const slot of held) slot.release();
      const again = await budget.acquire();
      expect(held.map(({ buffers }) => buffers)).toContain(again.buffers);
    },
  );
});
