/** What a person sees on a terminal while layers move, before and after it changes its size. */
import { describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../oci/digest.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";
import { FakeHost } from "../host.suite.ts";
import { shortDigest } from "../print/units.ts";
import { TtyDisplay } from "./tty.ts";

const MB = 1_000_000;
const layer = (name: number | string): Digest => digestOf(`layer ${name}`);
const short = (name: number | string): string => shortDigest(layer(name));

function progress(name: number | string, done: number, total: number, bytesPerSecond = 10 * MB): ProgressEvent {
  const etaSeconds = Math.ceil((total - done) / bytesPerSecond);
  const kinds = { network: done, local: 0, data: 0, zero: 0 };
  return { type: "progress", digest: layer(name), done, total, bytesPerSecond, etaSeconds, ...kinds };
}

const start = (name: number | string, total = 100 * MB, resumed = 0): ProgressEvent => ({
  type: "layer-start",
  digest: layer(name),
  total,
  resumed,
});
const done = (name: number | string, total = 100 * MB): ProgressEvent => ({
  type: "layer-done",
  digest: layer(name),
  total,
});
const resolve: ProgressEvent = { type: "resolve", reference: "docker.io/library/debian:12" };

function open(columns = 100, rows = 24, env: Record<string, string> = { NO_COLOR: "1" }) {
  const host = new FakeHost({ terminal: { columns, rows }, env });
  return { host, display: new TtyDisplay(host), screen: host.screen };
}

describe("a pull on a terminal", () => {
  it("shows a line per layer with bar, bytes, speed and time left, and a total", () => {
    const { host, display, screen } = open();
    for (const event of [resolve, start(1), start(2), progress(1, 40 * MB, 100 * MB), progress(2, 10 * MB, 100 * MB)])
      display.event(event);
    host.pass(100);
    expect(screen.visible()).toEqual([
      "docker.io/library/debian:12",
      `${short(1)}  [============>                 ]  40%   40.0 MB / 100 MB  10.0 MB/s      6s`,
      `${short(2)}  [===>                          ]  10%   10.0 MB / 100 MB  10.0 MB/s      9s`,
      "total 0/2     [=======>                      ]  25%   50.0 MB / 200 MB  20.0 MB/s      8s",
    ]);
    expect(screen.cursorShown).toBe(false);
    // The cursor rests on the region's first cell.
    expect(screen.cursor()).toEqual([0, 0]);
  });

  it("shows a layer whole that has not begun", () => {
    const { host, display, screen } = open();
    display.event(start(1));
    host.pass(100);
    expect(screen.visible()[0]).toBe(`${short(1)}  [>                             ]   0%       0 B / 100 MB`);
  });

  it("counts what is queued into the total, and says of it no more than that", () => {
    const { host, display, screen } = open();
    display.event(resolve);
    for (const [name, held] of [
      [1, 0],
      [2, 60 * MB],
      [3, 0],
    ] as const)
      display.event({ type: "layer-queued", digest: layer(name), total: 100 * MB, done: held });
    display.event(start(1));
    display.event(progress(1, 40 * MB, 100 * MB));
    host.pass(100);
    expect(screen.visible().slice(1)).toEqual([
      `${short(1)}  [============>                 ]  40%   40.0 MB / 100 MB  10.0 MB/s      6s`,
      `${short(2)}  queued    100 MB`,
      `${short(3)}  queued    100 MB`,
      "total 0/3     [==========>                   ]  33%    100 MB / 300 MB  10.0 MB/s     20s",
    ]);
  });

  it("shows the way of an unpacking in uncompressed bytes, also where nobody knows how many", () => {
    const { host, display, screen } = open();
    display.event(resolve);
    display.event({ type: "unpack-queued", digest: layer(1), total: 200 * MB });
    display.event({ type: "unpack-queued", digest: layer(2), total: null });
    display.event({ type: "unpack", digest: layer(1), done: 50 * MB, total: 200 * MB, entries: 5 });
    host.pass(100);
    expect(screen.visible().slice(1)).toEqual([
      `${short(1)}  [=======>                      ]  25%   50.0 MB / 200 MB  unpacking`,
      `${short(2)}  queued`,
      "total 0/2     [=======>                      ]  25%   50.0 MB / 200 MB",
    ]);
    display.event(done(1, 200 * MB));
    display.event({ type: "unpack", digest: layer(2), done: 10 * MB, total: null, entries: 1 });
    host.pass(100);
    expect(screen.visible()[2]).toBe(`${short(2)}  unpacking  10.0 MB`);
    display.event(done(2, 30 * MB));
    display.finish();
    expect(screen.visible()[3]).toBe("total 2/2     done      230 MB");
  });

  it("leaves the terminal to the shell while it is in the background", () => {
    const { host, display, screen } = open();
    host.foreground = false;
    display.event(resolve);
    display.event(start(1));
    host.pass(5000);
    expect(screen.frames).toBe(0);
    display.log("info", "a message");
    expect(screen.visible()).toEqual(["a message"]);
    host.foreground = true;
    host.pass(1000);
    expect(screen.visible()[1]).toBe("docker.io/library/debian:12");
  });

  it("draws at most twelve frames a second, each in one write", () => {
    const { host, display, screen } = open();
    display.event(start(1));
    const before = screen.frames;
    for (let step = 1; step <= 1000; step += 1) {
      display.event(progress(1, step * 1000, MB));
      host.pass(1);
    }
    expect(screen.frames - before).toBeLessThanOrEqual(12);
    expect(screen.frames - before).toBeGreaterThanOrEqual(8);
  });

  it("writes nothing when nothing has changed", () => {
    const { host, display, screen } = open();
    display.event({ type: "layer-present", digest: layer(1), total: MB });
    host.pass(100);
    const before = screen.frames;
    host.pass(60_000);
    expect(screen.frames).toBe(before);
  });

  it("tells that a transfer has stalled, although no event does", () => {
    const { host, display, screen } = open();
    display.event(start(1));
    display.event(progress(1, 40 * MB, 100 * MB));
    host.pass(5000);
    expect(screen.visible()[0]).toContain("stalled");
    expect(screen.visible().join("\n")).not.toContain("MB/s");
  });

  it("tells when all is sent and only the registry's word is missing", () => {
    const { host, display, screen } = open();
    display.event({ ...resolve, to: "docker://registry.example/app:1" });
    display.event(start(1));
    display.event(progress(1, 100 * MB, 100 * MB));
    for (const ms of [100, 10_000]) {
      host.pass(ms);
      expect(screen.visible()[1]).toContain("100%    100 MB / 100 MB  finishing");
    }
  });

  it("tells what is compressed before it is sent, and forgets it then", () => {
    const { host, display, screen } = open();
    const to = "docker://registry.example/app:1";
    const compress = (name: number, done: number, total: number | null): ProgressEvent => {
      return { type: "unpack", digest: layer(name), done, total, entries: 0, compresses: true };
    };
    display.event({ ...resolve, to });
    for (const event of [compress(1, 40 * MB, 100 * MB), compress(2, 30 * MB, 30 * MB)]) display.event(event);
    host.pass(100);
    const shown = screen.visible();
    expect(shown[0]).toBe(`docker.io/library/debian:12 to ${to}`);
    expect(shown[1]).toContain("40%   40.0 MB / 100 MB  compressing");
    expect(shown[2]).toBe(`${short(2)}  done     30.0 MB`);
    display.event({ ...resolve, to, digest: layer("manifest") });
    display.event(start(3));
    host.pass(100);
    expect(screen.visible().slice(1, -1).join()).not.toContain(short(1));
  });

  it("calls nothing stalled that has not had its turn yet", () => {
    const { host, display, screen } = open();
    display.event(start(1, 100 * MB, 40 * MB));
    host.pass(5000);
    expect(screen.visible()[0]).toMatch(/40\.0 MB \/ 100 MB$/);
  });

  it("keeps messages above the region, long ones too, and draws the region below them", () => {
    const { host, display, screen } = open(40, 10);
    display.event(start(1));
    host.pass(100);
    display.log("warn", "x".repeat(60));
    display.log("info", "second");
    const lines = screen.visible();
    expect(lines.slice(0, 3).join("")).toBe(`varve: warning: ${"x".repeat(60)}second`);
    expect(lines[3]).toContain(short(1));
    expect(lines).toHaveLength(5);
  });

  it("leaves its last state and the cursor when it ends", () => {
    const { host, display, screen } = open();
    for (const event of [resolve, start(1), progress(1, 50 * MB, 100 * MB), done(1)]) display.event(event);
    display.finish();
    display.finish();
    expect(screen.visible()).toEqual([
      "docker.io/library/debian:12",
      `${short(1)}  done      100 MB`,
      "total 1/1     done      100 MB",
    ]);
    expect(screen.cursor()).toEqual([3, 0]);
    expect(screen.cursorShown).toBe(true);
    expect(screen.autoWrap).toBe(true);
    expect(host.pendingTimers).toBe(0);
    expect(host.listeners).toBe(0);
  });

  it("leaves each image of several where it was, and goes on below", () => {
    const { host, display, screen } = open();
    for (const event of [resolve, start(1), done(1)]) display.event(event);
    display.event({ type: "image-done", reference: "docker.io/library/debian:12", digest: layer("image") });
    for (const event of [{ type: "resolve", reference: "docker.io/library/alpine:3" } as const, start(2), done(2)])
      display.event(event);
    host.pass(100);
    display.finish();
    const lines = screen.visible();
    expect(lines.filter((line) => line.includes("library/"))).toEqual([
      "docker.io/library/debian:12",
      "docker.io/library/alpine:3",
    ]);
    expect(lines).toHaveLength(6);
  });

  it("shows no more than fits: layers at work first, the others counted", () => {
    const { host, display, screen } = open(100, 8);
    display.event(resolve);
    for (let index = 0; index < 20; index += 1) display.event(start(index));
    for (let index = 0; index < 10; index += 1) display.event(done(index));
    display.event(progress(12, 40 * MB, 100 * MB));
    host.pass(100);
    const lines = screen.visible();
    expect(lines).toHaveLength(7);
    expect(lines.slice(1, 5).map((line) => line.slice(0, 12))).toEqual([10, 11, 12, 13].map(short));
    expect(lines[5]?.trim()).toBe("and 16 more, 10 of them done");
    expect(lines[6]).toContain("total 10/20 ");
    expect(screen.everything()).toEqual(lines);
  });

  it.each([1, 2, 3, 5, 13, 30, 50])("is never wider or higher than a terminal of %i columns", (columns) => {
    for (const rows of [1, 2, 3, 6]) {
      const { host, display, screen } = open(columns, rows);
      display.event(resolve);
      for (let index = 0; index < 4; index += 1) display.event(start(index));
      for (let round = 1; round <= 5; round += 1) {
        display.event(progress(1, round * MB, 100 * MB));
        host.pass(100);
      }
      expect(screen.everything().length).toBeLessThanOrEqual(rows);
      expect(Math.max(...screen.visible().map((line) => line.length))).toBeLessThan(Math.max(2, columns));
    }
  });

  it("uses no colour with NO_COLOR, and some without", () => {
    const colored = open(100, 24, {});
    colored.display.event(start(1));
    colored.display.event(progress(1, 40 * MB, 100 * MB));
    colored.host.pass(100);
    expect(colored.host.err).toContain("\u001b[36m");
    const plain = open();
    plain.display.event(start(1));
    plain.host.pass(100);
    expect(plain.host.err.split("\u001b").filter((piece) => /^\[\d*m/.test(piece))).toEqual([]);
    expect(plain.screen.visible()[0]).toBe(
      colored.screen.visible()[0]?.replace(/\[.*40.0 MB.*$/, plain.screen.visible()[0]?.slice(14) ?? ""),
    );
  });

  it("never lets a name from outside move the cursor", () => {
    const { host, display, screen } = open();
    display.event({ type: "resolve", reference: "evil\u001b[2J\u009b1A\nname" });
    display.event(start(1));
    display.log("warn", "from a registry: \u001b]0;title\u0007");
    host.pass(100);
    expect(screen.visible().join("\n")).toContain("evil\\u001b[2J\\u009b1A\\u000aname");
    expect(screen.visible()[0]).toBe("varve: warning: from a registry: \\u001b]0;title\\u0007");
  });
});

function running(columns: number, rows: number) {
  const opened = open(columns, rows);
  opened.host.stderr.write("$ varve pull debian\n").catch(() => undefined);
  opened.display.event(resolve);
  for (let index = 0; index < 4; index += 1) opened.display.event(start(index));
  opened.display.event(progress(1, 40 * MB, 100 * MB));
  opened.host.pass(100);
  return opened;
}

describe.each(["cut", "rewrap"] as const)("a terminal that resizes (%s)", (style) => {
  it.each([
    [100, 24, 40, 24],
    [40, 24, 100, 24],
    [100, 24, 100, 10],
    [100, 10, 100, 30],
    [100, 24, 30, 20],
    [80, 20, 81, 21],
  ])(
    "from %i×%i to %i×%i shows the region once and the earlier text above it",
    (columns, rows, newColumns, newRows) => {
      const { host, display, screen } = running(columns, rows);
      host.resize(newColumns, newRows, style);
      const check = (): void => {
        const lines = screen.visible();
        expect(lines[0]).toBe("$ varve pull debian");
        expect(lines).toHaveLength(7);
        for (let index = 0; index < 4; index += 1) expect(lines[index + 2]).toContain(short(index));
        expect(lines[6]).toContain("total");
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(newColumns);
      };
      check();
      display.event(progress(1, 60 * MB, 100 * MB));
      host.pass(100);
      check();
      display.finish();
      check();
      expect(screen.cursor()).toEqual([7, 0]);
    },
  );

  it("can be dragged through many sizes", () => {
    const { host, display, screen } = running(100, 24);
    for (let size = 99; size > 20; size -= 1) {
      host.resize(size, 24, style);
      display.event(progress(1, (140 - size) * 100_000, 100 * MB));
      host.pass(30);
    }
    for (let size = 21; size < 120; size += 7) {
      host.resize(size, 24, style);
      host.pass(100);
    }
    const lines = screen.visible();
    expect(lines).toHaveLength(7);
    expect(lines.filter((line) => line.startsWith("total"))).toHaveLength(1);
  });

  it("shows fewer layers in fewer rows, and more again in more", () => {
    const { host, screen } = running(100, 24);
    host.resize(100, 5, style);
    expect(screen.visible().at(-1)).toContain("total");
    expect(screen.visible().some((line) => line.includes("more"))).toBe(true);
    host.resize(100, 24, style);
    expect(
      screen
        .visible()
        .slice(-5)
        .map((line) => line.slice(0, 12).trim()),
    ).toEqual([...[0, 1, 2, 3].map(short), "total 0/4"]);
  });
});

describe("leaving in the midst of it", () => {
  it("gives the terminal back below the region", () => {
    const { host, display, screen } = open();
    for (const event of [resolve, start(1), start(2)]) display.event(event);
    host.pass(100);
    // The terminal echoes what was pressed.
    screen.write("^C");
    screen.write(display.escape());
    expect(screen.visible()[0]).toBe("docker.io/library/debian:12");
    expect(screen.cursorShown).toBe(true);
    expect(screen.autoWrap).toBe(true);
    expect(screen.cursor()).toEqual([4, 0]);
    expect(host.pendingTimers).toBe(0);
  });

  it("draws anew after the shell let it go on", () => {
    const { host, display, screen } = open();
    display.event(start(1));
    host.pass(100);
    screen.write(display.escape());
    display.event(progress(1, 50 * MB, 100 * MB));
    host.pass(1000);
    screen.write("$ fg\r\n");
    const frames = screen.frames;
    display.resume();
    expect(screen.frames).toBe(frames + 1);
    expect(screen.visible()[3]).toContain("50%");
    expect(screen.cursorShown).toBe(false);
  });
});
