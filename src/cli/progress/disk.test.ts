/** What is shown of the copy of a disk. */
import { expect, it } from "vitest";
import type { DiskProgress } from "../../recipe/progress.ts";
import { FakeHost } from "../host.suite.ts";
import { PlainDisplay } from "./plain.ts";
import { TtyDisplay } from "./tty.ts";

const MB = 1_000_000;
const at = (done: number, more: Partial<DiskProgress> = {}): DiskProgress => ({
  type: "disk",
  path: "/vm/one.img",
  phase: "copying",
  done: done * MB,
  total: 1000 * MB,
  copied: (done / 2) * MB,
  bytesPerSecond: 100 * MB,
  etaSeconds: Math.ceil((1000 - done) / 100),
  ...more,
});

it("in a log is a line now and then, and nothing of what is quick", () => {
  const host = new FakeHost();
  const display = new PlainDisplay(host);
  for (let done = 0; done <= 1000; done += 100) {
    display.event(at(done));
    host.pass(1000);
  }
  display.event(at(0, { phase: "checking" }));
  host.pass(6000);
  display.event(at(400, { phase: "checking", copied: 0 }));
  display.event(at(1000, { phase: "done" }));
  const lines = host.err.trimEnd().split("\n");
  expect(lines[0]).toBe("one.img: 10%, 100 MB of 1.00 GB, 50.0 MB written, 100 MB/s, 9s left");
  expect(lines.at(-1)).toBe("one.img: 40%, 400 MB of 1.00 GB checked, 100 MB/s, 6s left");
});

it("on a terminal is a bar and what was written", () => {
  const host = new FakeHost({ terminal: { columns: 100, rows: 24 }, env: { NO_COLOR: "1" } });
  const display = new TtyDisplay(host);
  display.event(at(400));
  host.pass(100);
  expect(host.screen.visible()).toEqual([
    "one.img       [============>                 ]  40%   400 MB / 1.00 GB   100 MB/s      6s",
    "written       200 MB",
  ]);
  display.event(at(500, { phase: "checking" }));
  host.pass(100);
  expect(host.screen.visible()[0]).toContain("50%   500 MB / 1.00 GB  checking");
  display.event(at(1000, { phase: "done", copied: 500 * MB }));
  display.finish();
  expect(host.screen.visible()).toEqual(["one.img       done     1.00 GB", "written       500 MB"]);
});
