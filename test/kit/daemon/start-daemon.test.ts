import { expect, it } from "vitest";
import { request } from "undici";
import { listImages, openVarve, serve } from "../../../src/index.ts";
import { tempDir } from "../temp-dir.ts";
import { startTestDaemon } from "./start-daemon.ts";

it("answers over HTTP until it is stopped", async () => {
  const daemon = await startTestDaemon();
  expect(await daemon.call("GET", "/healthz")).toMatchObject({ status: 200 });
  expect((await daemon.call("GET", "/readyz")).json()).toEqual({ status: "ready" });
  expect((await daemon.call("GET", "/metrics")).bytes.toString()).toContain("varve_build_info");
  expect((await daemon.call("GET", "/v1/version")).json()).toMatchObject({ node: process.versions.node });
  expect(await daemon.call("GET", "/v2/")).toMatchObject({ status: 200 });
  const missing = await daemon.call("GET", "/v1/no/such/path");
  expect(missing.status).toBe(404);
  expect(missing.json()).toMatchObject({ error: { code: "ROUTE_UNKNOWN" } });
  await daemon.stop();
  await expect(daemon.call("GET", "/healthz")).rejects.toThrow(/ECONNREFUSED|other side closed/);
});

it("is started by programs over a store that they have opened, without doing anything to it at its end", async () => {
  await using dir = await tempDir();
  await using varve = await openVarve({ root: dir.path, threads: 0, snapshotter: "none" });
  const log: string[] = [];
  const config = { listen: { address: "127.0.0.1:0", noAuth: true } };
  const daemon = await serve(varve, { config, write: (line) => void log.push(line) });
  expect(daemon.socket).toBeNull();
  const { statusCode, body } = await request(`http://${daemon.address}/v1/version`);
  expect([statusCode, await body.json()]).toMatchObject([200, { node: process.versions.node }]);
  await daemon.stop();
  expect(log.at(-1)).toContain("stopped");
  expect(await listImages(varve)).toEqual([]);
});
