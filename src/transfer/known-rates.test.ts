import { describe, expect, it } from "vitest";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { parseReference } from "../oci/reference.ts";
import { RatesBook } from "../registry/host-rates.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { TransferContext } from "./context.ts";
import { knownRates, rememberRates } from "./known-rates.ts";

const reference = parseReference("localhost:5000/app:1");

/** A process of its own, whose registry has sent so much in so long. */
function after(context: TransferContext, bytes: number, ms: number): TransferContext {
  const book = new RatesBook();
  book.answered(reference.host, 20);
  if (bytes > 0) {
    const body = book.body(reference.host, 0);
    body.received(bytes);
    body.end(ms);
  }
  const registry = {
    rates: ({ host }: typeof reference) => book.of(host),
    received: ({ host }: typeof reference) => book.total(host),
  };
  return { ...context, registry: registry as unknown as RegistryClient };
}

describe("what is known of a registry's speed", () => {
  it("is what an earlier process measured, until this one has", async () => {
    const context = await transferContext();
    const first = after(context, 100 << 20, 10_000);
    await rememberRates(first, reference);
    expect(await knownRates(after(context, 0, 0), reference)).toEqual({
      latencyMs: 20,
      bytesPerSecond: 10_485_760,
      isRemembered: true,
    });
    expect(await knownRates(after(context, 1 << 20, 1000), reference)).toEqual({
      latencyMs: 20,
      bytesPerSecond: 1 << 20,
    });
    expect(await knownRates(after(context, 0, 0), parseReference("localhost:5001/app:1"))).toEqual({});
  });

  it("is not told by a few bytes", async () => {
    const context = await transferContext();
    await rememberRates(after(context, 31 << 20, 10), reference);
    await rememberRates(after(context, 0, 0), reference);
    expect(await knownRates(after(context, 0, 0), reference)).toEqual({ latencyMs: 20 });
  });
});
