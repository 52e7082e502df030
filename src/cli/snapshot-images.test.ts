import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { CommitOptions, CommitResult } from "../transfer/commit-image.ts";
import type { ChangeRow } from "../transfer/diff-snapshot.ts";
import { runWith } from "./services.suite.ts";
import type { Services } from "./services.ts";

const ROWS: readonly ChangeRow[] = [
  { kind: "D", path: "etc/old" },
  { kind: "C", path: "etc/hosts", type: "file", size: 7 },
  { kind: "A", path: "od\u001bd \udcff", type: "symlink" },
];

const diffSnapshot: Services["diffSnapshot"] = (_name, onRow) => {
  for (const row of ROWS) onRow(row);
  return Promise.resolve();
};

describe("varve diff", () => {
  it("prints a line for each change, safe for a terminal", async () => {
    const { host, code } = await runWith(["diff", "work"], { diffSnapshot });
    expect(host.out).toBe("D etc/old\nC etc/hosts\nA od\\u001bd \\udcff\n");
    expect(code).toBe(0);
  });

  it("prints the fields with --json", async () => {
    const { host } = await runWith(["diff", "work", "--json"], { diffSnapshot });
    expect(JSON.parse(host.out)).toEqual(ROWS);
  });

  it("writes a tar with -o, no later than SOURCE_DATE_EPOCH", async () => {
    const asked: unknown[] = [];
    const diffId = digestOf("tar");
    const saveDiff: Services["saveDiff"] = (snapshot, file, options) => {
      asked.push([snapshot, file, options]);
      return Promise.resolve({ snapshot, file, diffId, size: 1024 });
    };
    const args = ["diff", "work", "-o", "layer.tar"];
    const { host } = await runWith(args, { saveDiff }, { env: { SOURCE_DATE_EPOCH: "1650000000" } });
    expect(asked).toEqual([["work", "layer.tar", { sourceDateEpoch: 1_650_000_000 }]]);
    expect(host.out).toBe(`layer.tar: 1.02 kB, ${diffId}\n`);
    expect((await runWith([...args, "-q"], { saveDiff })).host.out).toBe(`${diffId}\n`);
  });
});

describe("varve commit", () => {
  const result: CommitResult = {
    snapshot: "work",
    image: "docker.io/library/app:2",
    digest: digestOf("manifest"),
    imageId: digestOf("config"),
    chainId: digestOf("chain"),
    base: "docker.io/library/base:1",
    layers: [
      {
        digest: digestOf("blob"),
        diffId: digestOf("tar"),
        mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
        size: 2000,
        uncompressedSize: 10_240,
        entries: 3,
      },
    ],
    durationMs: 5,
  };

  it("passes on what it was told, and says what came of it", async () => {
    const asked: [string, string, CommitOptions | undefined][] = [];
    const commitImage: Services["commitImage"] = (...args) => {
      asked.push(args as (typeof asked)[number]);
      return Promise.resolve(result);
    };
    const args = ["commit", "work", "app:2", "-m", "more", "--author", "me", "--compression", "zstd"];
    const { host, code } = await runWith(args, { commitImage }, { env: { SOURCE_DATE_EPOCH: "0" } });
    expect(asked).toEqual([
      ["work", "app:2", { message: "more", author: "me", compression: "zstd", sourceDateEpoch: 0 }],
    ]);
    expect(host.out).toBe(
      `work: committed as docker.io/library/app:2\n  digest    ${result.digest}\n` +
        "  based on  docker.io/library/base:1\n  layer     3 members, 2.00 kB\n",
    );
    expect(code).toBe(0);
    expect((await runWith(["commit", "work", "app:2", "-q"], { commitImage })).host.out).toBe(`${result.digest}\n`);
    expect(asked[1]?.[2]).toEqual({});
  });

  it.each([
    [["commit", "work"], {}],
    [["commit", "work", "app:2", "--compression", "lzma"], {}],
    [["commit", "work", "app:2"], { SOURCE_DATE_EPOCH: "yesterday" }],
  ])("refuses %j with %j", async (args, env) => {
    const { code } = await runWith(args, {}, { env });
    expect(code).toBe(2);
  });
});
