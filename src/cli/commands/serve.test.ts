/** The daemon as a process: what the system, systemd and its users tell it. */
import { chmod, chown, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { delimiter, join } from "node:path";
import { request } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { startServe } from "../../../test/kit/daemon/serve-process.ts";
import { listen } from "../../../test/kit/net/listen.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { run, start } from "../../../test/kit/peers/run.ts";
import { runVarve, VARVE_BIN, varveEnvironment } from "../../../test/kit/peers/varve.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";

type Line = Readonly<Record<string, unknown>>;

function linesOf(stderr: string): readonly Line[] {
  return stderr
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

function findProgram(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path));
}

async function ownDir(): Promise<string> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return dir.path;
}

describe("signals", () => {
  it("end it in good order, which is no failure", async () => {
    const dir = await ownDir();
    await using server = await startServe({ root: `${dir}/store` });
    expect(await server.call("GET", "/readyz")).toMatchObject({ status: 200 });
    server.kill("SIGTERM");
    const { code, stderr, stdout } = await server.result;
    expect(code).toBe(0);
    expect(stdout.toString()).toBe("");
    expect(linesOf(stderr).map(({ message }) => message)).toEqual(["listening", "stopping", "stopped"]);
    await expect(request(`http://${server.host}/readyz`)).rejects.toThrow("ECONNREFUSED");
  });

  it("have it read its configuration again, or tell what is wrong with it and go on", async () => {
    const dir = await ownDir();
    const file = `${dir}/varve.toml`;
    await writeFile(file, "");
    await using server = await startServe({ root: `${dir}/store`, args: ["--config", file] });
    expect((await server.call("POST", "/v2/a/blobs/uploads/")).status).toBe(405);
    await writeFile(file, "allowPush = true\n[jobs]\npulls = 3\n");
    server.kill("SIGHUP");
    await server.output(/read again/);
    await server.output(/"keys":\["jobs.pulls"\]/);
    expect((await server.call("POST", "/v2/a/blobs/uploads/")).status).toBe(202);
    await writeFile(file, "alowPush = false\n");
    server.kill("SIGHUP");
    await server.output(/has the key .*alowPush/);
    expect((await server.call("POST", "/v2/a/blobs/uploads/")).status).toBe(202);
  });

  it("that kill it leave nothing in the way of the next one", async () => {
    const dir = await ownDir();
    const options = { root: `${dir}/store`, args: ["--socket", `${dir}/varve.sock`] };
    await using first = await startServe(options);
    const second = await runVarve(["serve", "--listen", "127.0.0.1:0", "--no-auth"], { root: options.root });
    expect(second).toMatchObject({
      code: 6,
      stderr: expect.stringContaining("varve: DAEMON_RUNNING: another daemon serves"),
    });
    first.kill("SIGKILL");
    await first.result;
    expect(await readdir(dir)).toContain("varve.sock");
    await using next = await startServe(options);
    expect(await next.call("GET", "/readyz")).toMatchObject({ status: 200 });
    // The command line works beside it.
    expect(await runVarve(["images", "--json"], { root: options.root })).toMatchObject({ code: 0 });
  });
});

describe("what it is told", () => {
  it.each([
    [["--listen", "0.0.0.0:0", "--no-auth"], "0.0.0.0 is no loopback address"],
    [["--listen", "127.0.0.1:0"], "needs tokens or clients' certificates"],
    [["--listen", "nowhere"], "--listen must be HOST:PORT"],
    [["--config", "/nowhere/varve.toml"], "/nowhere/varve.toml"],
    [["--mirror", "https://docker.io"], "--mirror must be a list of registries"],
    [["--listen", "127.0.0.1:0", "--no-auth", "--tls-cert", "/c.pem"], "TLS needs both"],
    [["--queue", "mysql://x"], "--queue must be"],
  ])("is checked before anything listens: %j", async (args, message) => {
    const dir = await ownDir();
    const { code, stderr } = await runVarve(["serve", ...args], {
      root: `${dir}/store`,
      env: { XDG_CONFIG_HOME: dir },
    });
    expect(code).toBeGreaterThan(0);
    expect(stderr).toContain(message);
  });
});

const python = findPeer("python3");

describe.skipIf(python === undefined)("under systemd (python3 in its place)", () => {
  /** Receives datagrams, one line each, as systemd does at NOTIFY_SOCKET. */
  async function receiver(address: string) {
    const script = [
      "import socket, sys",
      "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
      "a = sys.argv[1]",
      "s.bind('\\0' + a[1:] if a.startswith('@') else a)",
      "print('bound', flush=True)",
      "while True: print(s.recv(4096).decode().replace('\\n', ' '), flush=True)",
    ].join("\n");
    const program = start(python ?? "", ["-c", script, address], { timeoutMs: Infinity });
    onTestFinished(() => program[Symbol.asyncDispose]());
    await program.output(/bound/);
    return program;
  }

  it("tells when it is ready, alive, reading its configuration and stopping", async () => {
    const dir = await ownDir();
    const systemd = await receiver(`${dir}/notify.sock`);
    const env = { NOTIFY_SOCKET: `${dir}/notify.sock`, WATCHDOG_USEC: "100000" };
    await using server = await startServe({ root: `${dir}/store`, env });
    await systemd.output(/READY=1 STATUS=listening at 127\.0\.0\.1:\d+/);
    await systemd.output(/WATCHDOG=1/);
    server.kill("SIGHUP");
    await systemd.output(/RELOADING=1 MONOTONIC_USEC=\d+[^]*READY=1/);
    server.kill("SIGTERM");
    await systemd.output(/STOPPING=1/);
    expect((await server.result).code).toBe(0);
  });

  it("finds abstract names, and goes on where nobody takes what it tells", async () => {
    const dir = await ownDir();
    const name = `@varve-test-${process.pid}-${Date.now()}`;
    const systemd = await receiver(name);
    await using heard = await startServe({
      root: `${dir}/a`,
      env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" },
    });
    await systemd.output(/READY=1/);
    await using unheard = await startServe({ root: `${dir}/b`, env: { NOTIFY_SOCKET: `${dir}/nobody.sock` } });
    await unheard.output(/systemd cannot be told/);
    expect((await unheard.call("GET", "/readyz")).status).toBe(200);
    heard.kill();
    await heard.result;
    expect(systemd.said()).not.toContain("WATCHDOG");
  });

  /** Starts it as systemd does: the sockets from descriptor 3 on, and in the environment how many there are for whom. */
  function startActivated(root: string, servers: readonly Server[], args: readonly string[] = []) {
    const fds = servers.map((server) => (server as unknown as { _handle: { fd: number } })._handle.fd);
    const command = `LISTEN_PID=$$ LISTEN_FDS=${fds.length} exec "$@"`;
    const child = spawn("/bin/sh", ["-c", command, "sh", process.execPath, VARVE_BIN, "serve", "--no-auth", ...args], {
      stdio: ["ignore", "ignore", "pipe", ...fds],
      env: { ...process.env, ...varveEnvironment({ root }), XDG_CONFIG_HOME: root },
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const stderr = child.stdio[2];
    const said = new Promise<string>((resolve) => {
      let text = "";
      stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
      child.once("close", () => resolve(text));
    });
    return { child, said };
  }

  it("serves at sockets that were opened for it, on which connections wait meanwhile", async () => {
    const dir = await ownDir();
    const tcp = createServer();
    const { host } = await listen(tcp);
    const unix = createServer();
    await new Promise<void>((resolve) => unix.listen(`${dir}/varve.sock`, resolve));
    onTestFinished(() => {
      tcp.close();
      unix.close();
    });
    const { child, said } = startActivated(`${dir}/store`, [tcp, unix]);
    // What this process still holds would take connections that are the daemon's; closing it would remove a socket of this name.
    await rename(`${dir}/varve.sock`, `${dir}/kept.sock`);
    for (const server of [tcp, unix]) (server as unknown as { _handle: { close(): void } })._handle.close();
    const { statusCode, body } = await request(`http://${host}/readyz`);
    expect([statusCode, await body.json()]).toEqual([200, { status: "ready" }]);
    child.kill("SIGTERM");
    const lines = linesOf(await said);
    expect(lines.filter(({ message }) => message === "listening")).toMatchObject([
      { address: host },
      { socket: `${dir}/varve.sock` },
    ]);
    expect(child.exitCode).toBe(0);
    // It was not the daemon that made it.
    expect((await stat(`${dir}/kept.sock`)).isSocket()).toBe(true);
  });
});

const analyze = findProgram("systemd-analyze");

it.skipIf(analyze === undefined)("has units in its documentation that systemd takes without a word", async () => {
  const dir = await ownDir();
  const page = await readFile(new URL("../../../docs/daemon.md", import.meta.url), "utf8");
  const units = [...page.matchAll(/<!-- unit (\S+) -->\n\n((?: {4}.*\n|\n)+)/g)];
  expect(units.map(([, name]) => name)).toEqual(["varve.service", "varve.socket"]);
  for (const [, name, text = ""] of units) {
    // The program is not installed where this runs.
    await writeFile(`${dir}/${name}`, text.replaceAll(/^ {4}/gm, "").replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
  }
  const { code, stderr } = await run(analyze ?? "", ["verify", `${dir}/varve.service`, `${dir}/varve.socket`]);
  // Other units of the machine may be wrong; these are not.
  expect(stderr.split("\n").filter((line) => line.includes("varve"))).toEqual([]);
  expect(code).toBe(0);
});

const setpriv = process.getuid?.() === 0 ? findPeer("setpriv") : undefined;

it.skipIf(setpriv === undefined)("needs no rights: somebody else's user unpacks what it pulls by copying", async () => {
  const dir = await ownDir();
  const own = `${dir}/own`;
  await mkdir(own);
  await chown(own, 65_534, 65_534);
  await chmod(dir, 0o755);
  const address = `${own}/address`;
  const args = [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    process.execPath,
    VARVE_BIN,
    "serve",
    "--root",
    `${own}/store`,
  ];
  const more = ["--snapshotter", "copy", "--listen", "127.0.0.1:0", "--no-auth", "--addr-file", address];
  const env = { ...varveEnvironment({}), HOME: own, XDG_CONFIG_HOME: own, XDG_RUNTIME_DIR: own };
  const server = start(setpriv ?? "", [...args, ...more], { env, timeoutMs: Infinity });
  onTestFinished(() => server[Symbol.asyncDispose]());
  await server.output(/"message":"listening"/);
  const [, host] = /"address":"([^"]+)"/.exec(server.said()) ?? [];
  const answer = await request(`http://${host}/v1/snapshots`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ key: "work", kind: "active" }),
  });
  expect(answer.statusCode).toBe(201);
  await answer.body.dump();
  expect((await stat(`${own}/store/meta.db`)).uid).toBe(65_534);
  server.kill();
  expect((await server.result).code).toBe(0);
});

it("loads nothing of the daemon for other commands", async () => {
  const dir = await ownDir();
  const result = await run(process.execPath, [VARVE_BIN, "version"], {
    env: { ...varveEnvironment({ root: `${dir}/store` }), NODE_DEBUG: "esm" },
  });
  expect(result.code).toBe(0);
  expect(result.stderr).toContain("sys/program-version.ts");
  expect(result.stderr).not.toMatch(/node_modules\/(fastify|pino|prom-client|pg-boss)\//);
});
