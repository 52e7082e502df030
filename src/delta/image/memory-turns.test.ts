import { expect, it } from "vitest";
import { MemoryTurns } from "./memory-turns.ts";

it("small ones run at the same time, a large one alone, in their order, and a failure gives its room back", async () => {
  const turns = new MemoryTurns(100);
  const events: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const work = (name: string, bytes: number): Promise<void> => {
    ends.set(name, Promise.withResolvers<void>());
    return turns.take(bytes, async () => {
      events.push(name);
      await ends.get(name)!.promise;
    });
  };
  const all = [work("a", 40), work("b", 60), work("large", 1000), work("c", 10)];
  const failed = all[0]!.catch(() => "failed");
  await expect.poll(() => events).toEqual(["a", "b"]);
  ends.get("a")!.reject(new Error("it fails"));
  expect(await failed).toBe("failed");
  expect(events).toEqual(["a", "b"]);
  ends.get("b")!.resolve();
  await expect.poll(() => events).toEqual(["a", "b", "large"]);
  ends.get("large")!.resolve();
  await expect.poll(() => events).toEqual(["a", "b", "large", "c"]);
  ends.get("c")!.resolve();
  await Promise.all(all.slice(1));
});
