/** The text of a stream of events, with a feed that does what the test says. */
import { describe, expect, it } from "vitest";
import { VarveError } from "../../errors/varve-error.ts";
import type { JobEvent } from "../jobs/types.ts";
import { eventStream } from "./event-stream.ts";
import { streamSeats } from "./stream-seats.ts";

const EVENT: JobEvent = {
  type: "progress",
  id: "1",
  event: { type: "warning", message: "line one\nline two\r\ndata: not a field" },
};

async function* feed(...events: readonly JobEvent[]): AsyncGenerator<JobEvent> {
  yield* events;
}

async function textOf(events: AsyncIterable<JobEvent>, signal = new AbortController().signal): Promise<string> {
  let text = "";
  for await (const piece of eventStream(events, { signal })) text += piece;
  return text;
}

describe("the stream", () => {
  it("has an event a block, and text of others cannot end one", async () => {
    expect(await textOf(feed(EVENT, EVENT))).toBe(
      `retry: 2000\n\n${`event: progress\ndata: ${JSON.stringify(EVENT)}\n\n`.repeat(2)}`,
    );
  });

  it("shows that it lives while nothing happens, and loses no event by that", async () => {
    const { promise: quiet, resolve: speak } = Promise.withResolvers<void>();
    async function* late(): AsyncGenerator<JobEvent> {
      await quiet;
      yield EVENT;
    }
    const { signal } = new AbortController();
    const stream = eventStream(late(), { signal, heartbeatMs: 1 });
    const pieces: string[] = [];
    for await (const piece of stream) {
      pieces.push(piece);
      if (pieces.length === 4) speak();
    }
    expect(pieces.slice(0, 4)).toEqual(["retry: 2000\n\n", ...Array<string>(3).fill(": still here\n\n")]);
    expect(pieces.filter((piece) => piece.startsWith("event: progress"))).toHaveLength(1);
  });

  it("reads no further than its reader does", async () => {
    let read = 0;
    async function* counted(): AsyncGenerator<JobEvent> {
      for (;;) {
        read++;
        yield EVENT;
      }
    }
    const stopped = new AbortController();
    const stream = eventStream(counted(), { signal: stopped.signal });
    await stream.next();
    await stream.next();
    await stream.next();
    expect(read).toBeLessThanOrEqual(3);
    await stream.return();
  });

  it("ends with the signal, and with a word of what failed", async () => {
    const stopped = new AbortController();
    const { promise } = Promise.withResolvers<void>();
    async function* endless(): AsyncGenerator<JobEvent> {
      yield EVENT;
      stopped.abort();
      await promise;
    }
    expect(await textOf(endless(), stopped.signal)).toContain("event: progress");
    async function* failing(): AsyncGenerator<JobEvent> {
      yield EVENT;
      throw new VarveError("QUEUE_UNAVAILABLE", "the database has gone");
    }
    expect(await textOf(failing())).toMatch(/\nevent: error\ndata: \{"error":\{"code":"QUEUE_UNAVAILABLE",.*\}\}\n\n$/);
  });
});

it("seats are of each client, and in all", () => {
  const seats = streamSeats({ perClient: 2, inAll: 3 });
  const [first] = [seats.take("a"), seats.take("a"), seats.take("b")];
  expect(() => seats.take("a")).toThrow("of this client");
  expect(() => seats.take("b")).toThrow("in all");
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  seats.take("b");
  expect(() => seats.take("c")).toThrow("in all");
});
