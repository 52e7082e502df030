import { describe, expect, it } from "vitest";
import { RatesBook } from "./host-rates.ts";

const MIB = 1 << 20;

describe("the rates of a registry", () => {
  it("are unknown before it was asked for a blob", () => {
    expect(new RatesBook().of("registry.example")).toEqual({});
  });

  it("are the least of the last latencies, and all bodies of the time that they took together", () => {
    const book = new RatesBook();
    for (const ms of [900, 40, 55]) book.answered("a", ms);
    const [one, two] = [book.body("a", 1000), book.body("a", 1000)];
    one.received(MIB);
    two.received(MIB);
    one.end(1500);
    two.received(MIB);
    two.end(2000);
    expect(book.of("a")).toEqual({ latencyMs: 40, bytesPerSecond: 3 * MIB });
    expect(book.of("b")).toEqual({});
  });

  it("forget how it was long ago, and do not count the time in which nothing came", () => {
    const book = new RatesBook();
    for (let index = 0; index < 20; index++) {
      book.answered("a", index < 10 ? 1 : 200);
      const body = book.body("a", index * 60_000);
      body.received(MIB);
      body.end(index * 60_000 + (index < 10 ? 1 : 2000));
    }
    expect(book.of("a")).toEqual({ latencyMs: 200, bytesPerSecond: MIB / 2 });
  });

  it("are not taken from bodies that are over at once", () => {
    const book = new RatesBook();
    const body = book.body("a", 0);
    body.received(1000);
    body.end(50);
    expect(book.of("a")).toEqual({});
  });
});
