/** What `varve push` and `copy` take, what they print, and what they say when they are stopped. */
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { CopyResult } from "../transfer/copy.ts";
import type { ProgressEvent } from "../recipe/progress.ts";
import { runWith } from "./services.suite.ts";
import type { Services } from "./services.ts";

const result: CopyResult = {
  source: "docker.io/library/app:1",
  destination: "docker://host/app:1",
  digest: digestOf("manifest"),
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  status: "copied",
  blobs: { copied: 2, mounted: 1, present: 3 },
  manifests: 1,
  bytes: { network: 0, sent: 2_000_500, copied: 2_000_000 },
  requests: 12,
  retries: 0,
  durationMs: 1200,
  peakRssBytes: 50_000_000,
  warnings: [],
};

function recording(): { asked: unknown[]; pushImage: Services["pushImage"]; copyImage: Services["copyImage"] } {
  const asked: unknown[] = [];
  const answer = (...args: readonly unknown[]): Promise<CopyResult> => {
    asked.push(args);
    return Promise.resolve(result);
  };
  return { asked, pushImage: answer, copyImage: answer };
}

describe("varve push", () => {
  it("hands on what it was told", async () => {
    const { asked, pushImage } = recording();
    await runWith(["push", "app:1"], { pushImage });
    await runWith(
      ["push", "--compression", "zstd", "--all", "--referrers", "--chunk-size", "5M", "-j", "8", "app:1", "host/app:2"],
      {
        pushImage,
      },
    );
    await runWith(["push", "--no-chunk-index", "vm:1"], { pushImage });
    expect(asked).toEqual([
      ["app:1", { all: false, referrers: false, compression: "keep" }],
      [
        "app:1",
        { compression: "zstd", all: true, referrers: true, chunkSize: 5 * 1024 ** 2, concurrency: 8, to: "host/app:2" },
      ],
      ["vm:1", { all: false, referrers: false, compression: "keep", chunkIndex: false }],
    ]);
  });

  it("tells what moved, or with -q the digest", async () => {
    const { pushImage } = recording();
    const { host, code } = await runWith(["push", "app:1"], { pushImage });
    expect(code).toBe(0);
    expect(host.out).toBe(
      `docker.io/library/app:1: pushed to host/app:1\n  digest    ${result.digest}\n` +
        "  moved     2 blobs, 2.00 MB, 1 taken from beside it, 3 were there, in 1.2 s\n",
    );
    expect((await runWith(["push", "-q", "app:1"], { pushImage })).host.out).toBe(`${result.digest}\n`);
    const json = await runWith(["push", "--json", "app:1"], { pushImage });
    expect(JSON.parse(json.host.out)).toEqual(result);
  });

  it("says when there was nothing to do", async () => {
    const status = "up-to-date";
    const pushImage = (): Promise<CopyResult> => Promise.resolve({ ...result, status });
    const { host } = await runWith(["push", "app:1"], { pushImage });
    expect(host.out).toContain("docker.io/library/app:1: host/app:1 is up to date\n");
    expect(host.out).toContain("  moved     nothing, in 1.2 s\n");
  });

  it.each([
    [["push", "--chunk-size", "0", "a"], "--chunk-size takes at least a byte"],
    [["push", "--chunk-size", "much", "a"], "--chunk-size takes bytes"],
    [["push", "--digestfile", "", "a"], "--digestfile takes a path"],
    [["push", "--compression", "lzma", "a"], "--compression takes one of keep, gzip, zstd, zstd:chunked"],
  ])("%j exits with 2", async (args, message) => {
    const { host, code } = await runWith(args);
    expect(code).toBe(2);
    expect(host.err).toContain(message);
  });

  it("cannot write the digest where there is no directory, and says that the image was pushed", async () => {
    const { pushImage } = recording();
    const { host, code } = await runWith(["push", "--digestfile", "/nonexistent/x", "a"], { pushImage });
    expect(code).toBe(3);
    expect(host.err).toContain("after the image was pushed");
  });
});

describe("varve copy", () => {
  it("hands on what it was told, and says it copied", async () => {
    const { asked, copyImage } = recording();
    const { host } = await runWith(["copy", "--referrers", "docker://a/b:1", "docker://host/app:1"], { copyImage });
    expect(asked).toEqual([["docker://a/b:1", "docker://host/app:1", { all: false, referrers: true }]]);
    expect(host.out).toContain(": copied to host/app:1\n");
  });
});

describe("while images are sent", () => {
  const digest = digestOf("layer");
  const events: readonly ProgressEvent[] = [
    { type: "resolve", reference: "app:1", digest: result.digest, to: "docker://host/app:1" },
    { type: "layer-queued", digest, total: 1000, done: 0 },
    { type: "layer-start", digest, total: 1000, resumed: 0 },
    { type: "layer-done", digest, total: 1000 },
    { type: "layer-mounted", digest: digestOf("second"), total: 2000, from: "team/base" },
    { type: "layer-present", digest: digestOf("third"), total: 3000 },
    { type: "layer-queued", digest: digestOf("fourth"), total: 4000, done: 0 },
  ];

  it("logs say where to, and how each blob came to be there", async () => {
    const { host } = await runWith(["push", "app:1", "--progress", "plain"], ({ onProgress }) => ({
      pushImage() {
        for (const event of events) onProgress(event);
        return Promise.resolve(result);
      },
    }));
    const short = (name: string): string => digestOf(name).slice("sha256:".length, "sha256:".length + 12);
    expect(host.err).toBe(
      [
        "copying app:1 to docker://host/app:1",
        `${short("layer")}: sending 1.00 kB`,
        `${short("layer")}: done, 1.00 kB`,
        `${short("second")}: is there, taken from team/base, 2.00 kB`,
        `${short("third")}: is there, 3.00 kB`,
        "",
      ].join("\n"),
    );
  });

  it("terminals show it", async () => {
    const terminal = { columns: 80, rows: 24 };
    const shown: string[] = [];
    await runWith(
      ["push", "app:1"],
      ({ onProgress }, host) => ({
        pushImage() {
          for (const event of events) onProgress(event);
          host.pass(1000);
          shown.push(...host.screen.visible());
          return Promise.resolve(result);
        },
      }),
      { terminal, env: { NO_COLOR: "1" } },
    );
    expect(shown[0]).toBe("app:1 to docker://host/app:1");
    expect(shown[3]).toMatch(/^\w{12} {2}is there 3\.00 kB$/);
  });

  it("being stopped tells how many blobs are there", async () => {
    const { host, code } = await runWith(["push", "app:1", "--progress", "none"], ({ onProgress, signal }, host) => ({
      async pushImage() {
        for (const event of events) onProgress(event);
        host.signal();
        return Promise.reject(signal.reason as Error);
      },
    }));
    expect(code).toBe(130);
    expect(host.err).toContain(
      "\nvarve: INTERRUPTED: stopped; 3 of 4 blobs are there\nhint: go on with: varve push app:1 --progress none\n",
    );
  });
});
