import { describe, expect, it } from "vitest";
import { describeBlob, noise } from "../../test/kit/http/test-client.ts";
import { planFetch } from "./plan-fetch.ts";

const MIB = 1 << 20;
const FACTS = { done: [], ranges: undefined, layersLeft: 1, concurrency: 4 };
const large = { ...describeBlob(Buffer.alloc(1)), size: 512 * MIB };

describe("planFetch", () => {
  it("fetches a small blob, and one of many, in one request", () => {
    expect(planFetch({ ...large, size: 1000 }, FACTS).cost).toMatchObject({ network: 1000, requests: 1 });
    expect(planFetch(large, { ...FACTS, layersLeft: 4 }).cost).toMatchObject({ network: large.size, requests: 1 });
  });

  it("fetches a large one that is alone in ranges, unless the host serves none", () => {
    const { cost, how } = planFetch(large, FACTS);
    expect(how).toBe("full");
    expect(cost.network).toBe(large.size);
    expect(cost.requests).toBeGreaterThan(4);
    expect(planFetch(large, { ...FACTS, ranges: false }).cost.requests).toBe(1);
  });

  it("fetches only what an earlier try has not left, where the host serves ranges", () => {
    const done = [{ start: 0, end: 500 * MIB }];
    expect(planFetch(large, { ...FACTS, done })).toMatchObject({ how: "resumed", cost: { network: 12 * MIB } });
    expect(planFetch(large, { ...FACTS, done, ranges: false })).toMatchObject({
      how: "full",
      cost: { network: large.size },
    });
  });

  it("fetches nothing that the manifest carries", () => {
    const bytes = noise(100);
    const plan = planFetch({ ...describeBlob(bytes), data: bytes.toString("base64") }, FACTS);
    expect(plan.cost).toEqual({ network: 0, local: 0, data: 100, zero: 0, requests: 0 });
  });
});
