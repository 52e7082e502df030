import { expect, it } from "vitest";
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
