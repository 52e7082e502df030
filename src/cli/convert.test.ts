/** What `varve convert` takes, what it refuses, what it prints, and what shells complete. */
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { ConvertedLayer, ConvertResult } from "../transfer/convert.ts";
import { complete } from "./completion/candidates.ts";
import { runWith } from "./services.suite.ts";
import type { Services } from "./services.ts";

const ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";

const layer = (name: string, more: Partial<ConvertedLayer> = {}): ConvertedLayer => ({
  diffId: digestOf(`tar ${name}`),
  from: digestOf(`old ${name}`),
  to: digestOf(name),
  mediaType: ZSTD,
  sizeBefore: 1_000_000,
  size: 1_100_000,
  how: "converted",
  refused: null,
  ...more,
});

const result: ConvertResult = {
  source: "docker.io/library/app:1",
  destination: "docker.io/library/app:chunked",
  digest: digestOf("manifest"),
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  status: "copied",
  blobs: { copied: 3, mounted: 0, present: 1 },
  manifests: 1,
  bytes: { network: 0, sent: 0, copied: 2_200_500 },
  requests: 0,
  retries: 0,
  durationMs: 2100,
  peakRssBytes: 50_000_000,
  warnings: [],
  compression: "zstd:chunked",
  layers: [
    layer("one"),
    layer("two", { refused: "it has a sparse file" }),
    layer("three", { how: "kept", size: 1_000_000 }),
  ],
};

function recording(): { asked: unknown[]; convertImage: Services["convertImage"] } {
  const asked: unknown[] = [];
  return {
    asked,
    convertImage(...args) {
      asked.push(args);
      return Promise.resolve(result);
    },
  };
}

const CONVERT = ["convert", "app:1", "app:chunked", "--compression", "zstd:chunked"];

describe("varve convert", () => {
  it("hands on what it was told", async () => {
    const { asked, convertImage } = recording();
    await runWith(CONVERT, { convertImage });
    const flags = "--all --compression gzip --level 9 --chunk-size 5M -j 2".split(" ");
    await runWith(["convert", ...flags, "docker://a/b:1", "oci-archive:x.tar:1"], { convertImage });
    await runWith([...CONVERT, "--platform", "linux/arm64"], { convertImage });
    expect(asked).toEqual([
      ["app:1", "app:chunked", { all: false, referrers: false, compression: "zstd:chunked" }],
      [
        "docker://a/b:1",
        "oci-archive:x.tar:1",
        { all: true, referrers: false, compression: "gzip", level: 9, chunkSize: 5 * 1024 ** 2, concurrency: 2 },
      ],
      [
        "app:1",
        "app:chunked",
        {
          all: false,
          referrers: false,
          compression: "zstd:chunked",
          platform: { os: "linux", architecture: "arm64" },
        },
      ],
    ]);
  });

  it("tells what became of each layer, or with -q the digest", async () => {
    const { convertImage } = recording();
    const { host, code } = await runWith(CONVERT, { convertImage });
    const short = (name: string): string => digestOf(name).slice("sha256:".length, "sha256:".length + 12);
    expect(code).toBe(0);
    expect(host.out).toBe(
      [
        "docker.io/library/app:1: converted to docker.io/library/app:chunked",
        `  digest    ${result.digest}`,
        "  moved     3 blobs, 2.20 MB, 1 were there, in 2.1 s",
        "",
        "LAYER          BEFORE    AFTER  HOW",
        `${short("one")}  1.00 MB  1.10 MB  zstd:chunked`,
        `${short("two")}  1.00 MB  1.10 MB  zstd, for it has a sparse file`,
        `${short("three")}  1.00 MB  1.00 MB  kept as it was`,
        "",
      ].join("\n"),
    );
    expect((await runWith(["-q", ...CONVERT], { convertImage })).host.out).toBe(`${result.digest}\n`);
    const json = await runWith([...CONVERT, "--json"], { convertImage });
    expect(JSON.parse(json.host.out)).toEqual(result);
  });

  it("of an image without layers has no table", async () => {
    const convertImage = (): Promise<ConvertResult> => Promise.resolve({ ...result, layers: [] });
    expect((await runWith(CONVERT, { convertImage })).host.out).not.toContain("LAYER");
  });

  it("says when the image was there already", async () => {
    const convertImage = (): Promise<ConvertResult> => Promise.resolve({ ...result, status: "up-to-date" });
    const { host } = await runWith(CONVERT, { convertImage });
    expect(host.out).toContain("docker.io/library/app:chunked is up to date\n");
    expect(host.out).toContain("  moved     nothing, in 2.1 s\n");
  });

  it.each([
    [["convert", "a", "b"], "--compression is missing", "one of gzip, zstd, zstd:chunked"],
    [["convert", "a", "b", "--compression", "lzma"], "--compression takes one of gzip, zstd, zstd:chunked", ""],
    [["convert", "a", "b", "--compression", "keep"], "--compression takes one of gzip, zstd, zstd:chunked", ""],
    [["convert", "a", "b", "--compression", "gzip", "--level", "10"], "--level", "9"],
    [["convert", "a", "b", "--compression", "zstd", "--level", "0"], "--level", "1"],
    [["convert", "a", "b", "--compression", "zstd", "--level", "fast"], "--level", "19"],
    [["convert", "a", "b", "--compression", "zstd", "--chunk-size", "0"], "--chunk-size takes at least a byte", ""],
    [["convert", "a", "--compression", "zstd"], "ref", ""],
  ])("%j exits with 2", async (args, message, more) => {
    const { host, code } = await runWith(args);
    expect(code).toBe(2);
    expect(host.err).toContain(message);
    expect(host.err).toContain(more);
  });

  it("explains itself", async () => {
    const { host, code } = await runWith(["convert", "--help"]);
    expect(code).toBe(0);
    const text = host.out.replaceAll(/\s+/g, " ");
    expect(text).toContain("gzip 1 to 9, default 6; zstd 1 to 19, default 3; zstd:chunked 1 to 19, default 3");
  });

  it.each([
    ["convert a", ["app:1"]],
    ["convert oci", ["oci-archive:", "oci:"]],
    ["convert app:1 docker", ["docker-archive:", "docker://"]],
    ["convert app:1 b", ["base:1"]],
    ["convert app:1 new:1 --compression ", ["gzip", "zstd", "zstd:chunked"]],
    ["convert --lev", ["--level"]],
    ["push app:1 --compression ", ["gzip", "keep", "zstd", "zstd:chunked"]],
  ])("of %j shells offer %j", async (line, words) => {
    const held = { images: () => Promise.resolve(["app:1", "base:1"]), snapshots: () => Promise.resolve([]) };
    expect((await complete(line.split(" "), held)).words).toEqual(words);
  });
});
