import { expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { ProgressModel } from "./model.ts";

it("takes nothing for arrived that is only compressed so far", () => {
  const model = new ProgressModel();
  const digest = digestOf("layer");
  const [reference, to] = ["app:1", "docker://host/app:1"];
  model.apply({ type: "resolve", reference, to }, 0);
  model.apply({ type: "unpack", digest, done: 10, total: 10, entries: 1, compresses: true }, 0);
  expect(model.totals(0)).toMatchObject({ layers: 1, finished: 1, done: 10 });
  expect(model.arrived(0)).toEqual({ layers: 0, finished: 0, done: 0, total: 0 });
  model.apply({ type: "resolve", reference, digest, to }, 0);
  const made = digestOf("made");
  model.apply({ type: "layer-start", digest: made, total: 5, resumed: 0 }, 0);
  model.apply({ type: "layer-done", digest: made, total: 5 }, 0);
  expect(model.arrived(0)).toMatchObject({ layers: 1, finished: 1, done: 5, total: 5 });
});
