import { expect, it } from "vitest";
import { partsOfLayer } from "./plan.ts";

const none = { network: 0, local: 0, data: 0, zero: 0 };

it("draws a planned layer by where its bytes would come from", () => {
  expect(partsOfLayer({ how: "present", size: 50, bytes: none })).toMatchObject({ here: 50, network: 0, total: 50 });
  expect(partsOfLayer({ how: "full", size: 50, bytes: { ...none, network: 50 } })).toMatchObject({
    network: 50,
    total: 50,
  });
  expect(partsOfLayer({ how: "resumed", size: 50, bytes: { ...none, network: 20 } })).toMatchObject({
    here: 30,
    network: 20,
  });
  // What is put together is the tar, which is larger than the blob.
  expect(
    partsOfLayer({ how: "zstd-chunked", size: 50, bytes: { ...none, network: 5, local: 120, data: 1 } }),
  ).toMatchObject({
    network: 5,
    local: 120,
    total: 126,
  });
  expect(partsOfLayer({ how: "full", size: 0, bytes: none }).total).toBe(1);
});
