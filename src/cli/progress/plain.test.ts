/** What a log file holds of a pull: starts, ends, and a line now and then between them. */
import { expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { FakeHost } from "../host.suite.ts";
import { shortDigest } from "../print/units.ts";
import { PlainDisplay } from "./plain.ts";

const digest = digestOf("layer");
const MB = 1_000_000;

function pullSlowly(seconds: number, total = 100 * MB, resumed = 0): string[] {
  const host = new FakeHost();
  const display = new PlainDisplay(host);
  display.event({ type: "resolve", reference: "host/app:1" });
  display.event({ type: "layer-start", digest, total, resumed });
  const steps = seconds * 10;
  for (let step = 1; step <= steps; step += 1) {
    host.pass(100);
    const done = resumed + Math.round(((total - resumed) * step) / steps);
    const left = { bytesPerSecond: total / seconds, etaSeconds: Math.ceil((steps - step) / 10) };
    display.event({ type: "progress", digest, done, total, ...left, network: done, local: 0, data: 0, zero: 0 });
  }
  display.event({ type: "layer-verified", digest, total });
  display.event({ type: "layer-done", digest, total });
  display.finish();
  return host.err.trimEnd().split("\n");
}

const layer = (text: string): string => `${shortDigest(digest)}: ${text}`;

it("says that a quick layer starts and ends, and nothing between", () => {
  expect(pullSlowly(0.5)).toEqual(["resolving host/app:1", layer("fetching 100 MB"), layer("done, 100 MB")]);
});

it("says how far a slow layer is at about every tenth", () => {
  const lines = pullSlowly(20);
  expect(lines[2]).toBe(layer("10%, 10.0 MB of 100 MB, 5.00 MB/s, 18s left"));
  expect(lines).toHaveLength(2 + 9 + 1);
});

it("says how far a very slow layer is every five seconds", () => {
  const lines = pullSlowly(200);
  expect(lines.length).toBeGreaterThan(38);
  expect(lines.length).toBeLessThan(43);
});

it("does not repeat itself while nothing moves", () => {
  const host = new FakeHost();
  const display = new PlainDisplay(host);
  display.event({ type: "layer-start", digest, total: 100, resumed: 50 });
  for (let second = 0; second < 30; second += 1) {
    host.pass(1000);
    const kinds = { network: 0, local: 0, data: 0, zero: 0 };
    display.event({ type: "progress", digest, done: 50, total: 100, bytesPerSecond: 0, etaSeconds: null, ...kinds });
  }
  expect(host.err).toBe(`${layer("fetching 100 B, 50 B of it kept from before")}\n`);
});

it("mentions what has no beginning only when it takes long", () => {
  const host = new FakeHost();
  const display = new PlainDisplay(host);
  const kinds = { network: 0, data: 0, zero: 0, bytesPerSecond: 10, etaSeconds: 1 };
  for (let local = 0; local <= 50; local += 10) {
    display.event({ type: "progress", digest, done: local, total: 100, local, ...kinds });
    if (local === 0) expect(host.err).toBe("");
    host.pass(1000);
  }
  expect(host.err.split("\n")[0]).toBe(layer("10%, 10 B of 100 B, 10 B/s, 1s left"));
});

it("says what was kept from before", () => {
  expect(pullSlowly(0.1, 100 * MB, 40 * MB)[1]).toBe(layer("fetching 100 MB, 40.0 MB of it kept from before"));
});

it("says what is compressed, and what becomes of it under another digest", () => {
  const host = new FakeHost();
  const display = new PlainDisplay(host);
  const to = "docker://host/app:1";
  display.event({ type: "resolve", reference: "app:1", to });
  display.event({ type: "unpack", digest, done: MB, total: null, entries: 0, compresses: true });
  host.pass(6000);
  display.event({ type: "unpack", digest, done: 9 * MB, total: null, entries: 0, compresses: true });
  display.event({ type: "resolve", reference: "app:1", digest: digestOf("manifest"), to });
  const made = digestOf("made");
  display.event({ type: "layer-start", digest: made, total: MB, resumed: 0 });
  expect(host.err.trimEnd().split("\n")).toEqual([
    `copying app:1 to ${to}`,
    layer("compressing"),
    layer("compressing, 9.00 MB"),
    `${shortDigest(made)}: sending 1.00 MB`,
  ]);
});
