import { expect, it } from "vitest";
import { turnsOf } from "./turns.ts";

it("as many as may are let in, and the next one when one of them has gone", () => {
  const turns = turnsOf({ atOnce: 2, summary: "Copy" });
  const [first] = [turns.take(), turns.take()];
  expect(() => turns.take()).toThrow("2 such requests are at work already: Copy");
  first[Symbol.dispose]();
  turns.take();
  expect(() => turns.take()).toThrow("2 such requests");
  const open = turnsOf({ summary: "Read" });
  for (let n = 0; n < 1000; n++) open.take();
});
