/** The contract of the commands: flags, JSON, where things are said, and stopping. */
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { ImageDetails } from "../transfer/images.ts";
import type { PullResult } from "../transfer/pull-result.ts";
import type { FakeHost } from "./host.suite.ts";
import type { Run } from "./services.ts";
import { IMAGE, pullResult, runWith } from "./services.suite.ts";

const layer = digestOf("layer");
const pull = (reference: string): Promise<PullResult> => Promise.resolve(pullResult(reference));

/** A pull that has fetched a quarter when `meanwhile` happens. */
const interruptible = (meanwhile: (host: FakeHost) => void) => (bound: Run, host: FakeHost) => ({
  pull() {
    const kinds = { network: 1_000_000, local: 0, data: 0, zero: 0 };
    bound.onProgress({ type: "layer-queued", digest: layer, total: 4_000_000, done: 0 });
    bound.onProgress({ type: "layer-queued", digest: IMAGE, total: 6_000_000, done: 500_000 });
    bound.onProgress({ type: "layer-start", digest: layer, total: 4_000_000, resumed: 0 });
    bound.onProgress({
      type: "progress",
      digest: layer,
      done: 1_000_000,
      total: 4_000_000,
      bytesPerSecond: 1,
      etaSeconds: 3,
      ...kinds,
    });
    meanwhile(host);
    return bound.signal.aborted ? Promise.reject(bound.signal.reason as Error) : pull("a");
  },
});

/** A pull that warns, as an event and in its result. */
const warning = ({ onProgress }: Run) => ({
  pull(reference: string) {
    onProgress({ type: "layer-start", digest: layer, total: 10, resumed: 0 });
    onProgress({ type: "warning", message: "careful\u009b" });
    return Promise.resolve(pullResult(reference, { warnings: ["careful\u009b"] }));
  },
});

const imageDetails: ImageDetails = {
  name: "a",
  digest: IMAGE,
  mediaType: "m",
  manifestDigest: IMAGE,
  imageId: layer,
  platform: null,
  created: null,
  author: "me\u001b",
  size: 3,
  layers: [
    { digest: layer, diffId: null, mediaType: "t", size: 1 },
    { digest: layer, diffId: null, mediaType: "t", size: 2 },
  ],
  config: { Env: ["A=\u001b"] },
  annotations: {},
  platforms: [],
};

const inspectDetails = () => Promise.resolve(imageDetails);

describe("global flags", () => {
  it("are taken before and after the command", async () => {
    const services = { pull: (reference: string) => Promise.resolve(pullResult(reference)) };
    const before = await runWith(["--root", "/a", "-j", "3", "--limit-rate", "2M", "pull", "x"], services);
    const after = await runWith(["pull", "--root", "/a", "x", "-j3", "--limit-rate=2M"], services);
    expect([before.code, after.code]).toEqual([0, 0]);
    expect(before.settings).toEqual(after.settings);
    expect(after.settings).toMatchObject({ root: "/a", concurrency: 3, transport: { limitRate: 2 * 1024 * 1024 } });
  });

  it("leave words after -- alone", async () => {
    const removed: string[][] = [];
    const removeImages = (images: readonly string[]) => {
      removed.push([...images]);
      return Promise.resolve({ untagged: [], deleted: [], disks: [], snapshots: 0, freedBytes: 0 });
    };
    const { code } = await runWith(["rm", "--", "--json", "-q"], { removeImages });
    expect(code).toBe(0);
    expect(removed).toEqual([["--json", "-q"]]);
  });
});

describe("pull", () => {
  it("hands its flags to the use case", async () => {
    const seen: unknown[] = [];
    const pull = (reference: string, options: object) => {
      seen.push([reference, options]);
      return Promise.resolve(pullResult(reference));
    };
    await runWith(["pull", "a"], { pull });
    await runWith(
      ["pull", "--plan", "--no-unpack", "--no-sync", "--no-wait", "-j", "2", "--platform", "linux/arm64", "b"],
      { pull },
    );
    expect(seen).toEqual([
      ["a", { unpack: true, plan: false, discardBlobs: false, sync: true, wait: true }],
      [
        "b",
        {
          unpack: false,
          plan: true,
          discardBlobs: false,
          sync: false,
          wait: false,
          concurrency: 2,
          platform: { os: "linux", architecture: "arm64" },
        },
      ],
    ]);
  });

  it("takes what it unpacks into, how and by what from flags and the environment", async () => {
    const pull = (reference: string) => Promise.resolve(pullResult(reference));
    const plain = await runWith(["pull", "a"], { pull });
    expect(plain.settings?.unpacking).toEqual({ snapshotter: "auto", decompressor: "auto" });
    const flags = ["--unpack-jobs", "3", "--decompressor", "igzip", "--discard-blobs"];
    const env = { VARVE_SNAPSHOTTER: "overlay" };
    const set = await runWith(["pull", ...flags, "a"], { pull }, { env });
    expect(set.settings?.unpacking).toEqual({ snapshotter: "overlay", decompressor: "igzip", jobs: 3 });
    const flag = await runWith(["pull", "--snapshotter", "erofs", "a"], { pull }, { env });
    expect(flag.settings?.unpacking).toMatchObject({ snapshotter: "erofs" });
  });

  it.each([
    [["pull", "--snapshotter", "zfs", "a"], {}, "--snapshotter"],
    [["pull", "a"], { VARVE_SNAPSHOTTER: "zfs" }, "VARVE_SNAPSHOTTER"],
    [["pull", "--unpack-jobs", "0", "a"], {}, "--unpack-jobs"],
    [["pull", "--decompressor", "rm", "a"], {}, "--decompressor"],
    [["pull", "--discard-blobs", "--no-unpack", "a"], {}, "--discard-blobs"],
    [["pull", "--discard-blobs", "--snapshotter", "none", "a"], {}, "--discard-blobs"],
  ])("refuses %j with %j", async (args, env, named) => {
    const { code, host } = await runWith(args, {}, { env });
    expect(code).toBe(2);
    expect(host.err).toContain(named);
  });

  it("refuses to send the credentials of one registry to another, before anything is sent", async () => {
    const pulled: string[] = [];
    const services = {
      pull: (reference: string) => {
        pulled.push(reference);
        return Promise.resolve(pullResult(reference));
      },
    };
    const { code, host } = await runWith(["pull", "--creds", "me:s3cret", "ghcr.io/a", "b"], services);
    expect([code, pulled]).toEqual([2, []]);
    expect(host.err).toContain("--creds would be sent to ghcr.io and docker.io");
    expect(host.err).not.toContain("s3cret");
    expect((await runWith(["pull", "--creds", "me:s3cret", "ghcr.io/a", "ghcr.io/b"], services)).code).toBe(0);
    for (const args of [
      ["copy", "docker://ghcr.io/a", "docker://b"],
      ["push", "docker://ghcr.io/a", "b"],
      ["convert", "docker://ghcr.io/a", "docker://b", "--compression", "zstd"],
    ]) {
      const refused = await runWith([...args, "--creds", "me:s3cret"], {});
      expect([refused.code, refused.host.err]).toEqual([2, expect.stringContaining("ghcr.io and docker.io")]);
    }
  });

  it("prints one JSON document: an object for one reference, an array for several", async () => {
    const one = await runWith(["pull", "a", "--json"], { pull });
    expect(JSON.parse(one.host.out)).toEqual(pullResult("a"));
    const two = await runWith(["pull", "a", "b", "--json"], { pull });
    expect(JSON.parse(two.host.out)).toEqual([pullResult("a"), pullResult("b")]);
  });

  it("prints for people what came and from where", async () => {
    const retried = { resumedBytes: 2_000_000, retries: 2 };
    const services = { pull: () => Promise.resolve(pullResult("a", retried)) };
    const { host } = await runWith(["pull", "a"], services);
    expect(host.out).toBe(
      `a: pulled\n  digest    ${IMAGE}\n  image id  ${digestOf("config")}\n  platform  linux/amd64\n` +
        "  moved     1 layer, 1.50 MB over the network, 2.00 MB kept from before, retried 2 times in 1.2 s\n",
    );
    expect(host.err).toBe("");
    const quiet = await runWith(["-q", "pull", "host/a:1"], { pull });
    expect(quiet.host.out).toBe(`host/a:1@${IMAGE}\n`);
  });

  it("says what it would do with --plan, and where it fell back", async () => {
    const [first] = pullResult("a").layers;
    const layers =
      first === undefined ? [] : [{ ...first, fallbacks: [{ from: "zstd-chunked", reason: "no ranges" }] }];
    const pull = () => Promise.resolve(pullResult("a", { status: "planned", layers }));
    const { host } = await runWith(["pull", "--plan", "a"], { pull });
    expect(host.out.split("\n").slice(1, 5)).toEqual([
      "  LAYER            SIZE  HOW   NETWORK  LOCAL  DATA  ZERO",
      `  ${layer.slice(7, 19)}  1.50 MB  full  1.50 MB    0 B   0 B   0 B`,
      "  would move 1.50 MB over the network; 0 B are on this machine",
      `  ${layer.slice(7, 19)} fell back from zstd-chunked: no ranges`,
    ]);
  });

  it("reports events one a line with --progress json, and nothing with none", async () => {
    const json = await runWith(["pull", "a", "--progress", "json", "--json"], warning);
    const events = json.host.err
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    expect(events.map(({ type }) => type)).toEqual(["layer-start", "warning"]);
    expect(json.host.err).not.toContain("\u009b");
    const none = await runWith(["pull", "a", "--progress", "none"], warning);
    expect(none.host.err).toBe("varve: warning: careful\\u009b\n");
  });
});

describe("stopping", () => {
  it("by the first signal keeps what came, says how much, and exits with 130", async () => {
    const { code, host } = await runWith(
      ["pull", "a"],
      interruptible((host) => host.signal("SIGTERM")),
    );
    expect(code).toBe(130);
    expect(host.exitCode).toBeUndefined();
    expect(host.err).toContain("stopping; once more stops at once\n");
    expect(host.err).toContain(
      "varve: INTERRUPTED: stopped; 1.50 MB of 10.0 MB are kept\nhint: go on with: varve pull a\n",
    );
    expect(host.listeners).toBe(0);
  });

  it("by a second signal ends at once with the terminal in order", async () => {
    const { host } = await runWith(
      ["pull", "a"],
      interruptible((host) => {
        host.pass(100);
        host.signal();
        host.pass(50);
        host.signal();
        expect(host.exitCode).toBeUndefined();
        expect(host.screen.cursorShown).toBe(false);
        host.pass(1000);
        host.signal();
        expect(host.exitCode).toBe(130);
        expect(host.screen.cursorShown).toBe(true);
      }),
      { terminal: { columns: 80, rows: 24 }, env: { TERM: "xterm" } },
    );
    expect(host.listeners).toBe(0);
  });

  it("does not wait for ever for a disk that does not take what came", async () => {
    const { code, host } = await runWith(["pull", "--creds", "me:secret", "--root", "/a b", "a"], (_, host) => ({
      pull() {
        host.signal();
        host.pass(1400);
        expect(host.exitCode).toBeUndefined();
        host.pass(100);
        return new Promise<never>(() => {});
      },
    }));
    expect([code, host.exitCode]).toEqual([130, 130]);
    expect(host.err).toContain(
      "varve: INTERRUPTED: stopped\nhint: go on with: varve pull --root '/a b' a  (and the credentials",
    );
    expect(host.err).not.toContain("secret");
  });

  it("is a coded JSON document with --json", async () => {
    const { code, host } = await runWith(
      ["pull", "a", "--json", "-q"],
      interruptible((host) => host.signal()),
    );
    expect(code).toBe(130);
    expect(JSON.parse(host.out)).toHaveProperty("error.code", "INTERRUPTED");
    expect(host.err).toBe("");
  });

  it("before the work has begun begins none", async () => {
    const running = runWith(["pull", "a", "--json"], (_, host) => {
      host.signal();
      return {};
    });
    const { code, host } = await running;
    expect(code).toBe(130);
    expect(JSON.parse(host.out)).toHaveProperty("error.code", "INTERRUPTED");
    expect(host.listeners).toBe(0);
  });

  it("after the work is done changes nothing", async () => {
    const { code } = await runWith(["images"], (_, host) => ({
      listImages() {
        host.signal();
        return Promise.resolve([]);
      },
    }));
    expect(code).toBe(0);
  });
});

describe("inspect", () => {
  const bytes = Buffer.from('{"a":"\u009b2J"}');
  it("hands raw bytes on unchanged, except to a terminal", async () => {
    const rawDocument = () => Promise.resolve(new Uint8Array(bytes));
    const piped = await runWith(["inspect", "--raw", "a", "--json"], { rawDocument });
    expect(Buffer.from(piped.host.outBytes).equals(bytes)).toBe(true);
    const shown = await runWith(["inspect", "--raw", "a"], { rawDocument }, { stdoutIsTerminal: true });
    expect(shown.host.out).toBe('{"a":"\\u009b2J"}\n');
  });

  it("shows fields for people and an object for programs", async () => {
    const { host } = await runWith(["inspect", "a"], { inspectImage: inspectDetails });
    expect(host.out).toContain("\nauthor: me\\u001b\nsize: 3\nlayers:\n  - digest: sha256:");
    expect(host.out).toContain("\n    size: 2\nconfig:\n  Env:\n    - A=\\u001b\nannotations: {}\nplatforms: []\n");
    const json = await runWith(["inspect", "a", "--json"], { inspectImage: inspectDetails });
    expect(JSON.parse(json.host.out)).toHaveProperty("layers.1.size", 2);
  });
});

describe("help", () => {
  it("lists the commands that exist, and each one's flags", async () => {
    const { code, host } = await runWith(["--help"]);
    expect(code).toBe(0);
    expect(host.err).toBe("");
    for (const name of [
      "pull",
      "push",
      "copy|cp",
      "images",
      "inspect",
      "tag",
      "rm",
      "unpack",
      "df",
      "login",
      "logout",
      "completion",
      "version",
    ]) {
      expect(host.out).toContain(`\n  ${name} `);
    }
    expect(host.out).not.toMatch(/__complete/);
    const pull = await runWith(["help", "pull"]);
    const same = await runWith(["pull", "--help"]);
    expect(pull.host.out).toContain("--no-unpack");
    expect(same.host.out).toContain("--no-unpack");
    expect((await runWith(["help", "cp"])).host.out).toContain("varve copy|cp");
    expect((await runWith(["help", "nothing"])).code).toBe(2);
    const json = await runWith(["--help", "--json"]);
    expect(JSON.parse(json.host.out)).toHaveProperty("help");
  });
});
