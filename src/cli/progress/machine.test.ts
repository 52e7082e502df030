/** What is shown of a pull of a machine's disk: a line for the disk, whatever it is made of. */
import { expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";
import { FakeHost } from "../host.suite.ts";
import { PlainDisplay } from "./plain.ts";
import { TtyDisplay } from "./tty.ts";

const MB = 1_000_000;
const digest = digestOf("disk");
const QUEUED: readonly ProgressEvent[] = [
  { type: "disk-queued", digest, name: "disk.img", total: 1000 * MB },
  { type: "layer-start", digest, total: 1000 * MB, resumed: 0 },
];
/** Half of what is done came over the network, compressed; the other half was zeros. */
const at = (done: number): ProgressEvent => ({
  type: "progress",
  digest,
  done: done * MB,
  total: 1000 * MB,
  network: ((done - 500) / 2) * MB,
  local: 0,
  data: 0,
  zero: 500 * MB,
  bytesPerSecond: 100 * MB,
  etaSeconds: Math.ceil((1000 - done) / 100),
});

it("in a log is a line now and then", () => {
  const host = new FakeHost();
  const display = new PlainDisplay(host);
  for (const event of QUEUED) display.event(event);
  for (let done = 500; done <= 1000; done += 100) {
    display.event(at(done));
    host.pass(6000);
  }
  display.event({ type: "layer-done", digest, total: 1000 * MB });
  expect(host.err.trimEnd().split("\n")).toEqual([
    "disk.img: fetching 1.00 GB",
    "disk.img: 60%, 600 MB of 1.00 GB, 50.0 MB received, 100 MB/s, 4s left",
    "disk.img: 70%, 700 MB of 1.00 GB, 100 MB received, 100 MB/s, 3s left",
    "disk.img: 80%, 800 MB of 1.00 GB, 150 MB received, 100 MB/s, 2s left",
    "disk.img: 90%, 900 MB of 1.00 GB, 200 MB received, 100 MB/s, 1s left",
    "disk.img: done, 1.00 GB",
  ]);
});

it("on a terminal is a bar, and what was received", () => {
  const host = new FakeHost({ terminal: { columns: 100, rows: 24 }, env: { NO_COLOR: "1" } });
  const display = new TtyDisplay(host);
  for (const event of [...QUEUED, at(700)]) display.event(event);
  host.pass(100);
  expect(host.screen.visible()).toEqual([
    "disk.img      [=====================>        ]  70%   700 MB / 1.00 GB   100 MB/s      3s",
    "total 0/1     [=====================>        ]  70%   700 MB / 1.00 GB   100 MB/s      3s",
    "received      100 MB",
  ]);
});
