import { expect, it } from "vitest";
import { request } from "undici";
import { startServe } from "../../../test/kit/daemon/serve-process.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";

it("serves until it is told to stop, which is no failure", async () => {
  await using dir = await tempDir();
  await using server = await startServe({ root: `${dir.path}/store` });
  expect(await server.call("GET", "/readyz")).toMatchObject({ status: 200 });
  server.kill("SIGTERM");
  const { code, stderr, stdout } = await server.result;
  expect(code).toBe(0);
  expect(stdout.toString()).toBe("");
  const lines = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { message: string });
  expect(lines.map(({ message }) => message)).toEqual(["listening", "stopping", "stopped"]);
  await expect(request(`http://${server.host}/readyz`)).rejects.toThrow("ECONNREFUSED");
});
