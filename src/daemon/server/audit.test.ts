import { chmod, readFile, rename, stat, symlink, writeFile } from "node:fs/promises";
import { expect, it, onTestFinished } from "vitest";
import { startTestDaemon } from "../../../test/kit/daemon/start-daemon.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";

async function ownDir(): Promise<string> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return dir.path;
}

async function linesOf(path: string): Promise<readonly Record<string, unknown>[]> {
  const text = await readFile(path, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const JSON_TYPE = { "content-type": "application/json" };

it("has a line for each request that would change something: who, what and how it ended", async () => {
  const dir = await ownDir();
  const auditFile = `${dir}/audit.log`;
  const token = "0123456789abcdef0123";
  await writeFile(`${dir}/tokens`, `${token} deploy bot\n`);
  const listen = { noAuth: false, tokenFile: `${dir}/tokens` };
  const daemon = await startTestDaemon({ config: { listen, log: { level: "info", auditFile } } });
  const authorization = `Bearer ${token}`;
  await daemon.call("GET", "/v1/images", { authorization });
  await daemon.call("POST", "/v1/gc", { authorization, ...JSON_TYPE }, '{"dryRun":true}');
  await daemon.call("DELETE", "/v1/images/no%2Fsuch?force=secret&src=a", { authorization });
  await daemon.call("POST", "/v1/gc", JSON_TYPE, "{}");
  await daemon.call("POST", "/v2/a/b/blobs/uploads/", { authorization });
  expect((await stat(auditFile)).mode & 0o777).toBe(0o600);
  const lines = await linesOf(auditFile);
  expect(lines).toMatchObject([
    { who: "deploy bot", how: "token", method: "POST", path: "/v1/gc", subject: { dryRun: true }, status: 202 },
    { who: "deploy bot", method: "DELETE", path: "/v1/images/no%2Fsuch?force=...&src=a" },
    { who: "nobody", how: "refused", path: "/v1/gc", status: 401 },
    { who: "deploy bot", method: "POST", path: "/v2/a/b/blobs/uploads/" },
  ]);
  for (const line of lines) expect(line).toMatchObject({ time: expect.stringMatching(/Z$/), peer: "127.0.0.1" });
  expect(JSON.stringify(lines)).not.toContain(token);
});

it("adds to what is there, closes it to others, and goes on in a new file after a reload", async () => {
  const auditFile = `${await ownDir()}/audit.log`;
  await writeFile(auditFile, '{"before":true}\n');
  await chmod(auditFile, 0o644);
  const daemon = await startTestDaemon({ config: { log: { auditFile } } });
  expect((await stat(auditFile)).mode & 0o777).toBe(0o600);
  await daemon.call("POST", "/v1/gc", JSON_TYPE, "{}");
  await rename(auditFile, `${auditFile}.1`);
  await daemon.reload();
  await daemon.call("POST", "/v1/fsck", JSON_TYPE, "{}");
  expect(await linesOf(`${auditFile}.1`)).toMatchObject([{ before: true }, { path: "/v1/gc" }]);
  expect(await linesOf(auditFile)).toMatchObject([{ path: "/v1/fsck" }]);
});

it("stays where it is when the new place cannot be opened, with all else that the reload would have changed", async () => {
  const dir = await ownDir();
  const auditFile = `${dir}/audit.log`;
  const daemon = await startTestDaemon({ config: { log: { auditFile } } });
  daemon.change({ log: { auditFile: `${dir}/no/such/place` }, allowPush: true });
  await daemon.reload();
  expect(daemon.log.at(-1)).toMatchObject({ level: "error", code: "FILE_NOT_FOUND" });
  const pushed = await daemon.call("POST", "/v2/a/blobs/uploads/");
  expect(pushed.status).toBe(405);
  expect(await linesOf(auditFile)).toMatchObject([{ status: 405 }]);
});

it("is the log where no file is named, and follows no link where one is", async () => {
  const daemon = await startTestDaemon({ config: { log: { level: "info" } } });
  await daemon.call("POST", "/v1/gc", JSON_TYPE, "{}");
  const [line, ...others] = daemon.log.filter(({ path }) => path === "/v1/gc");
  expect(line).toMatchObject({ message: "request", who: "127.0.0.1", how: "none", status: 202 });
  expect(others).toEqual([]);
  const dir = await ownDir();
  await symlink(`${dir}/elsewhere`, `${dir}/link`);
  await expect(startTestDaemon({ config: { log: { auditFile: `${dir}/link` } } })).rejects.toThrow("the audit log");
});
