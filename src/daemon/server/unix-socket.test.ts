import { mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { Agent, request } from "undici";
import { expect, it, onTestFinished } from "vitest";
import { startTestDaemon, type TestDaemon } from "../../../test/kit/daemon/start-daemon.ts";
import { run } from "../../../test/kit/peers/run.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";

async function ownDir(): Promise<string> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return dir.path;
}

function at(socket: string): Promise<TestDaemon> {
  return startTestDaemon({ config: { listen: { socket, address: null, noAuth: false } } });
}

async function get(
  socketPath: string,
  path: string,
  method: "GET" | "POST" = "GET",
): Promise<{ status: number; json: unknown }> {
  const agent = new Agent({ connect: { socketPath } });
  try {
    const headers = method === "POST" ? { "content-type": "application/json" } : {};
    const { statusCode, body } = await request(`http://varve${path}`, {
      method,
      dispatcher: agent,
      headers,
      ...(method === "POST" && { body: "{}" }),
    });
    return { status: statusCode, json: JSON.parse(await body.text()) };
  } finally {
    await agent.close();
  }
}

it("is for its owner and its group, needs no key, and goes with the daemon", async () => {
  const dir = await ownDir();
  const path = `${dir}/below/varve.sock`;
  const daemon = await at(path);
  expect(daemon).toMatchObject({ socket: path, address: null });
  const { mode } = await stat(path);
  expect((mode & 0o777).toString(8)).toBe("660");
  const { mode: above } = await stat(`${dir}/below`);
  expect((above & 0o777 & ~process.umask()).toString(8)).toBe(process.getuid?.() === 0 ? "755" : "700");
  expect(await get(path, "/v1/version")).toMatchObject({ status: 200 });
  expect(await get(path, "/v1/gc", "POST")).toMatchObject({ status: 202 });
  const mutation = daemon.log.find(({ message, method }) => message === "request" && method === "POST");
  expect(mutation).toMatchObject({ who: `uid ${process.getuid?.()}`, path: "/v1/gc" });
  await daemon.stop();
  expect(await readdir(`${dir}/below`)).toEqual([]);
});

it("is never taken from a daemon that answers", async () => {
  const path = `${await ownDir()}/varve.sock`;
  await at(path);
  await expect(at(path)).rejects.toMatchObject({ code: "DAEMON_RUNNING" });
  expect(await get(path, "/readyz")).toMatchObject({ status: 200 });
});

it("is made anew where a daemon that died has left its own", async () => {
  const path = `${await ownDir()}/varve.sock`;
  // A process that is killed while it listens, as nothing in this one can leave a dead socket.
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  expect((await run(process.execPath, ["-e", script])).code).toBe(137);
  expect((await stat(path)).isSocket()).toBe(true);
  await at(path);
  expect(await get(path, "/readyz")).toMatchObject({ status: 200 });
});

it("takes nothing away that is no socket", async () => {
  const dir = await ownDir();
  await writeFile(`${dir}/file`, "mine");
  await mkdir(`${dir}/directory`);
  await symlink(`${dir}/file`, `${dir}/link`);
  for (const name of ["file", "directory", "link"]) {
    await expect(at(`${dir}/${name}`)).rejects.toMatchObject({ code: "FILE_EXISTS" });
  }
  expect((await readdir(dir)).sort()).toEqual(["directory", "file", "link"]);
});

it("is not taken from a program that is no daemon either", async () => {
  const path = `${await ownDir()}/other.sock`;
  const other = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end("hello");
  });
  await new Promise<void>((resolve) => other.listen(path, resolve));
  onTestFinished(() => void other.close());
  await expect(at(path)).rejects.toMatchObject({ code: "DAEMON_RUNNING" });
  const still = await new Promise<string>((resolve) =>
    connect(path).once("data", (data: Buffer) => resolve(data.toString())),
  );
  expect(still).toBe("hello");
});

it("has a path that systems take", async () => {
  await expect(at(`/tmp/${"x".repeat(110)}`)).rejects.toMatchObject({ code: "PATH_INVALID" });
  await expect(at("/proc/varve/varve.sock")).rejects.toMatchObject({
    code: expect.stringMatching(/FILE_NOT_FOUND|PERMISSION|IO/),
  });
});
