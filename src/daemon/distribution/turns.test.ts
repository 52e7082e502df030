import { setImmediate as nextRound } from "node:timers/promises";
import { expect, it } from "vitest";
import { Turns } from "./turns.ts";

it("so many have their turn each time around, first come first served, and what is new waits behind them", async () => {
  const turns = new Turns(3);
  const order: number[] = [];
  const asked = Array.from({ length: 8 }, async (_, index) => {
    await turns.next();
    order.push(index);
  });
  const rounds: number[] = [];
  while (order.length < 8) {
    await nextRound();
    rounds.push(order.length);
    if (rounds.length === 1) asked.push(turns.next().then(() => void order.push(8)));
  }
  await Promise.all(asked);
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(rounds.every((count, index) => count - (rounds[index - 1] ?? 0) <= 3)).toBe(true);
});

it("goes on after everybody had one", async () => {
  const turns = new Turns(1);
  await turns.next();
  await turns.next();
  await Promise.all([turns.next(), turns.next()]);
});
