import * as fc from "fast-check";
import { expect, it } from "vitest";
import { readEvents } from "./sse.ts";

async function read(bytes: Uint8Array, cuts: readonly number[] = []): Promise<(string | undefined)[]> {
  const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  async function* chunks(): AsyncIterable<Uint8Array> {
    for (const [index, start] of at.entries()) yield bytes.subarray(start, at[index + 1] ?? bytes.length);
  }
  const events: (string | undefined)[] = [];
  for await (const event of readEvents(chunks())) events.push(event);
  return events;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

it("gives each event's data, and heartbeats as nothing", async () => {
  const text =
    ': hello\n\nevent: job\nid: 7\ndata: {"a":1}\n\nevent: progress\r\ndata:one\r\ndata: two\r\n\r\nretry: 5\n\ndata: cut off';
  expect(await read(bytes(text))).toEqual([undefined, '{"a":1}', "one\ntwo"]);
});

it("gives the same wherever the network cuts, in the middle of a letter or of a line's end", async () => {
  const text = "data: Schicht – Λ 🪨\r\n\r\n:\r\n\r\ndata: {}\n\ndata: x\r\ndata: y\r\n\r\n";
  const whole = await read(bytes(text));
  expect(whole).toEqual(["Schicht – Λ 🪨", undefined, "{}", "x\ny"]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes(text).length), { maxLength: 12 }), async (cuts) => {
      expect(await read(bytes(text), cuts)).toEqual(whole);
    }),
  );
});

it("ends what never ends a line", async () => {
  async function* endless(): AsyncIterable<Uint8Array> {
    for (;;) yield new Uint8Array(1 << 20).fill(0x61);
  }
  const drain = async (): Promise<void> => {
    for await (const event of readEvents(endless())) expect(event).toBeUndefined();
  };
  await expect(drain()).rejects.toThrow("too large");
});
