import { expect, it } from "vitest";
import { inTurns, Turns } from "./turns.ts";

const never = new AbortController().signal;
/** Lets whatever can settle do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it("gives turns to those with the most left, as many as there are places", async () => {
  const turns = new Turns(2);
  const order: number[] = [];
  const jobs = [30, 10, 50, 40, 20].map((left) => {
    const member = turns.join();
    void member.take(left, never).then(() => order.push(left));
    return { left, member };
  });
  await settle();
  // The first two came when nobody else was there.
  expect(order).toEqual([30, 10]);
  const end = async (left: number): Promise<void> => {
    jobs.find((job) => job.left === left)?.member[Symbol.dispose]();
    await settle();
  };
  await end(10);
  expect(order).toEqual([30, 10, 50]);
  await end(50);
  await end(30);
  expect(order).toEqual([30, 10, 50, 40, 20]);
});

it("brings a job back to the place where it began, and new ones to where the fewest are", async () => {
  const turns = new Turns(2);
  const [a, b, c] = [turns.join(), turns.join(), turns.join()];
  expect(await a.take(1, never)).toBe(0);
  a.release();
  expect(await b.take(1, never)).toBe(1);
  b.release();
  b[Symbol.dispose]();
  expect(await c.take(1, never)).toBe(1);
  const back = a.take(1, never);
  expect(await back).toBe(0);
});

it("lets go of who gives up, and then serves the others", async () => {
  const turns = new Turns(1);
  const [a, b, c] = [turns.join(), turns.join(), turns.join()];
  await a.take(1, never);
  const abort = new AbortController();
  const given = b.take(9, abort.signal);
  const served = c.take(1, never);
  abort.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  await expect(b.take(9, abort.signal)).rejects.toThrow("enough");
  b[Symbol.dispose]();
  a[Symbol.dispose]();
  expect(await served).toBe(0);
});

it("holds no place while a file has nothing to read", async () => {
  const turns = new Turns(1);
  const grown = Promise.withResolvers<void>();
  let front = 0;
  const slow = { path: "slow", size: 10, waitFront: () => grown.promise };
  using first = turns.join();
  using second = turns.join();
  const waiting = inTurns(
    {
      ...slow,
      get front() {
        return front;
      },
    },
    first,
    never,
  );
  const reading = waiting.waitFront(0);
  const ready = inTurns({ path: "ready", size: 5, front: 5, waitFront: () => Promise.resolve() }, second, never);
  await ready.waitFront(0);
  expect([first.hasTurn, second.hasTurn, ready.front]).toEqual([false, true, 5]);
  front = 10;
  grown.resolve();
  await settle();
  expect([first.hasTurn, waiting.front]).toEqual([false, 0]);
  second.release();
  await reading;
  expect([first.hasTurn, waiting.front]).toEqual([true, 10]);
});
