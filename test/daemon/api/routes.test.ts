/** Every route of the API gives what its schema says, of a store that has something of everything. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { engineError } from "../../../src/daemon/api/balena/balena-table.ts";
import { placeOf, type OperationId } from "../../../src/daemon/api/schemas/operations.ts";
import { ROUTES, type RouteSpec } from "../../../src/daemon/api/schemas/routes.ts";
import { mustBeCoded, mustBeGood } from "../../kit/daemon/api-schemas.ts";
import { filledDaemon, type FilledDaemon } from "../../kit/daemon/filled-daemon.ts";
import { startTestDaemon } from "../../kit/daemon/start-daemon.ts";
import type { CallAnswer } from "../../kit/net/call.ts";

interface Asked {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
}

type JsonId = Exclude<OperationId, "followJob" | "followJobs">;

/** In this order, since some need what others made. */
function requests({ names }: FilledDaemon, jobId: string): Readonly<Record<JsonId, readonly Asked[]>> {
  const { base, target, delta, machine } = names;
  return {
    getVersion: [{}],
    listImages: [{}, { query: "?limit=1" }, { query: `?after=${encodeURIComponent(base)}` }],
    getImage: [{ params: { name: base } }, { params: { name: machine } }, { params: { name: delta } }],
    getStrata: [{ params: { name: target } }, { params: { name: machine } }],
    tagImage: [{ params: { name: base }, body: { name: "example.com/other:1" } }],
    removeImage: [{ params: { name: "example.com/other:1" } }],
    createPull: [{ body: { reference: target, platform: "linux/amd64", unpack: false, delta: "auto" } }],
    createPlan: [{ body: { reference: target } }, { body: { reference: base, unpack: false, delta: "never" } }],
    createSnapshot: [
      { body: { key: "work/a b%2f" } },
      { body: { key: "on-image", parent: base } },
      { body: { key: "seen", parent: base, kind: "view" } },
    ],
    listSnapshots: [{}, { query: "?limit=1" }],
    getMounts: [{ params: { key: "on-image" } }],
    getUsage: [{ params: { key: "work/a b%2f" } }],
    commitSnapshot: [{ params: { key: "work/a b%2f" }, body: { name: "done" } }],
    removeSnapshot: [{ params: { key: "done" } }],
    listDeltas: [{}],
    getDelta: [{ params: { name: delta } }],
    createDelta: [{ body: { base, target, format: "tar-diff", tag: "example.com/app:diff" } }],
    listDisks: [{}],
    getDisk: [{ params: { image: machine } }],
    importDisk: [
      { body: { path: "disk.img", image: "example.com/vm:2", labels: { "org.example": "x" }, cpuCount: 2 } },
    ],
    exportDisk: [
      { body: { image: machine, path: "copy" } },
      { body: { image: machine, path: "copy.img", raw: true, disk: "disk.img", verify: true } },
    ],
    previewGc: [{}, { query: "?partialsOlderThanMs=0" }],
    startGc: [{}, { body: { dryRun: true } }],
    startFsck: [{}, { body: { images: [base], repair: false } }],
    getDiskUsage: [{}],
    listJobs: [{}, { query: "?kind=pull&state=done&limit=1" }],
    getJob: [{ params: { id: jobId } }],
    cancelJob: [{ params: { id: jobId } }],
  };
}

function pathOf(id: OperationId, { params = {}, query = "" }: Asked): string {
  return placeOf(id).path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? "")) + query;
}

function ask({ daemon }: FilledDaemon, id: OperationId, asked: Asked): Promise<CallAnswer> {
  const { method } = placeOf(id);
  const body = asked.body === undefined ? undefined : JSON.stringify(asked.body);
  const headers: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
  return daemon.call(method, pathOf(id, asked), headers, body);
}

it("answers every request as the schema of its route says", async () => {
  const filled = await filledDaemon();
  const { daemon, client, disks, names } = filled;
  const [pulled] = (await client.jobs.list({ kind: "pull" })).jobs;
  const asked = requests(filled, pulled!.id);
  // Of what requests never do: a route that is left out above does not compile, one that the table lacks is not asked.
  expect(Object.keys(asked).toSorted()).toEqual(
    Object.keys(ROUTES)
      .filter((id) => !id.startsWith("follow"))
      .toSorted(),
  );
  for (const [id, list] of Object.entries(asked) as [JsonId, readonly Asked[]][]) {
    for (const one of list) {
      const answer = await ask(filled, id, one);
      mustBeGood(id, answer);
      if ((ROUTES[id] as RouteSpec).status === 202) {
        const { id: job } = answer.json();
        expect(answer.headers["location"]).toBe(`/v1/jobs/${String(job)}`);
        const ended = await client.jobs.wait(String(job));
        expect([ended.state, ended.error]).toEqual(["done", null]);
        mustBeGood("getJob", await daemon.call("GET", answer.headers["location"]!));
      }
    }
  }
  expect(await readFile(join(disks, "copy/disk.img"))).toEqual(await readFile(join(disks, "machine/disk.img")));
  expect((await stat(join(disks, "copy.img"))).size).toBe(3 << 20);
  // What was committed and removed is gone, what others were asked for is there.
  const { snapshots } = await client.snapshots.list();
  expect(
    snapshots
      .filter(({ kind }) => kind !== "committed")
      .map(({ key }) => key)
      .toSorted(),
  ).toEqual(["on-image", "seen"]);
  const { deltas } = await client.deltas.list();
  expect(deltas.map(({ name }) => name)).toContain(names.delta);
});

it("tells which other images have a layer, and what it takes as a blob and as a tar", async () => {
  const { client, names, app } = await filledDaemon({ has: ["app"] });
  const { layers } = await client.images.layers(names.target);
  expect(layers.map(({ diffId, size, uncompressedSize }) => ({ diffId, size, uncompressedSize }))).toEqual(
    app.target.layers.map(({ diffId, tar, descriptor }) => {
      return { diffId, size: descriptor.size, uncompressedSize: tar.length };
    }),
  );
  expect(layers.map(({ sharedWith, shares }) => [sharedWith, shares])).toEqual([
    [[names.base], 1],
    [[], 0],
    [[], 0],
    [[], 0],
    [[], 0],
  ]);
});

it("gives long lists in parts, and each row once", async () => {
  const { client, names } = await filledDaemon({ has: ["app"] });
  for (let n = 0; n < 5; n++) await client.images.tag(names.base, `example.com/many:${n}`);
  const seen: string[] = [];
  let after: string | null = "";
  while (after !== null) {
    const part = await client.images.list({ limit: 2, ...(after !== "" && { after }) });
    expect(part.images.length).toBeLessThanOrEqual(2);
    seen.push(...part.images.map(({ name }) => name));
    after = part.next;
  }
  const { images, next } = await client.images.list();
  expect(next).toBeNull();
  expect(seen).toEqual(images.map(({ name }) => name));
  expect(seen).toHaveLength(7);
});

it("names what there is, where a path is known and the method is not, and where neither is", async () => {
  const daemon = await startTestDaemon();
  for (const [method, path, allow] of [
    ["PUT", "/v1/images", "GET, HEAD"],
    ["PATCH", "/v1/images/x", "GET, HEAD, DELETE"],
    ["GET", "/v1/pulls", "POST"],
    ["DELETE", "/v1/events", "GET"],
    ["HEAD", "/v1/jobs/x/events", "GET"],
    ["GET", "/images/delta", "POST"],
    ["POST", "/v1/version", "GET, HEAD"],
  ] as const) {
    const answer = await daemon.call(method, path);
    expect([path, answer.status, answer.headers["allow"]]).toEqual([path, 405, allow]);
    if (method === "HEAD") continue;
    expect(mustBeCoded(answer, path, path.startsWith("/v1") ? undefined : engineError)).toBe("METHOD_NOT_ALLOWED");
  }
  for (const path of ["/v1", "/v1/", "/v1/nothing", "/v1/images/a/b", "/v1/jobs/x/y", "/v2x", "/images"]) {
    expect(mustBeCoded(await daemon.call("GET", path), path)).toBe("ROUTE_UNKNOWN");
  }
  const head = await daemon.call("HEAD", "/v1/images");
  expect([head.status, head.bytes.length]).toEqual([200, 0]);
});
