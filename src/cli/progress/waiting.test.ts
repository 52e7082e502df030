/** A layer that another process is getting: its progress is shown as if it were our own, and it goes on here when that one dies. */
import { expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";
import { FakeHost } from "../host.suite.ts";
import { shortDigest } from "../print/units.ts";
import { PlainDisplay } from "./plain.ts";
import { TtyDisplay } from "./tty.ts";

const MB = 1_000_000;
const digest = digestOf("layer");
const wait = (done: number): ProgressEvent => ({ type: "wait", digest, done, total: 100 * MB });
const start: ProgressEvent = { type: "layer-start", digest, total: 100 * MB, resumed: 60 * MB };

it("is shown on a terminal with its share, and counts in the total", () => {
  const host = new FakeHost({ terminal: { columns: 100, rows: 24 }, env: { NO_COLOR: "1" } });
  const display = new TtyDisplay(host);
  display.event(wait(0));
  expect(host.screen.visible()[0]).toBe(`${shortDigest(digest)}  waiting for another process, 0%`);
  display.event(wait(45 * MB));
  host.pass(100);
  const [line, total] = host.screen.visible();
  expect(line).toBe(`${shortDigest(digest)}  waiting for another process, 45%`);
  expect(total).toMatch(/ 45% +45\.0 MB \/ 100 MB$/);
  display.event(start);
  host.pass(100);
  expect(host.screen.visible()[0]).toMatch(/ 60% +60\.0 MB \/ 100 MB$/);
  display.finish();
});

it("is mentioned in a log at about every tenth, and not again while nothing moves", () => {
  const host = new FakeHost();
  const display = new PlainDisplay(host);
  for (let second = 0; second <= 50; second += 1) {
    display.event(wait(Math.min(second, 45) * MB));
    host.pass(1000);
  }
  display.event(start);
  const lines = host.err.trimEnd().split("\n");
  expect(lines[0]).toBe(`${shortDigest(digest)}: waiting for another process, 0% of 100 MB`);
  expect(lines.length).toBeGreaterThanOrEqual(6);
  expect(lines.length).toBeLessThanOrEqual(12);
  expect(lines.at(-1)).toBe(`${shortDigest(digest)}: fetching 100 MB, 60.0 MB of it kept from before`);
});
