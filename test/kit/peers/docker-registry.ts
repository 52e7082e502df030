/** Debian's docker-registry (distribution 2.8) as a real server: push, pull, ranges, htpasswd, token authentication. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { request } from "undici";
import { findPeer } from "../peers.ts";
import type { TokenServer } from "../registry/token-server.ts";
import { tempDir } from "../temp-dir.ts";
import { bcrypt } from "./bcrypt.ts";
import { freePort } from "./free-port.ts";

export interface DockerRegistryOptions {
  /** Where content is kept. Default: a temporary directory, removed on close. */
  readonly dir?: string;
  /** Default: everybody may do everything. */
  readonly auth?:
    | { readonly kind: "htpasswd"; readonly users: Readonly<Record<string, string>> }
    /** The server has to sign its tokens: `startTokenServer({ jwt: true })`. */
    | { readonly kind: "token"; readonly server: TokenServer };
  /** Pushes are answered 405. */
  readonly readOnly?: boolean;
  /** Deletion is off in docker-registry unless configured; here it is on. */
  readonly deletes?: boolean;
  /** Makes it a pull-through cache of this URL. */
  readonly proxyOf?: string;
  /** Serves HTTPS with this certificate (PEM). */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  readonly dir: string;
  readonly pid: number;
  /** All that it wrote so far, for the report of a failure. */
  log(): string;
  close(): Promise<void>;
}

const ATTEMPTS = 5;
const READY_MS = 20_000;

/** @throws Error with its log when it does not come up */
export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const program = findPeer("docker-registry");
  if (program === undefined) throw new Error("docker-registry is not installed");
  await using starting = new AsyncDisposableStack();
  const settings = starting.use(await tempDir("varve-docker-registry-")).path;
  const dir = options.dir ?? join(settings, "data");
  await mkdir(dir, { recursive: true });
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const config = join(settings, "config.yml");
    await writeFile(config, JSON.stringify(await configure(options, dir, port, settings)));
    const server = start(program, config);
    const scheme = options.tls === undefined ? "http" : "https";
    const url = `${scheme}://127.0.0.1:${port}`;
    if (await ready(server, port)) {
      starting.defer(() => server.stop());
      const stack = starting.move();
      const close = () => stack.disposeAsync();
      const pid = server.child.pid ?? 0;
      return { host: `127.0.0.1:${port}`, url, dir, pid, log: server.log, close, [Symbol.asyncDispose]: close };
    }
    await server.stop();
    const portTaken = server.log().includes("address already in use");
    if (!portTaken || attempt === ATTEMPTS) throw new Error(`docker-registry did not come up:\n${server.log()}`);
  }
}

interface Server {
  readonly child: ChildProcess;
  readonly log: () => string;
  /** Whether it is still alive. */
  readonly running: () => boolean;
  readonly stop: () => Promise<void>;
}

function start(program: string, config: string): Server {
  // OTEL and REGISTRY_* variables of the caller would change the configuration.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(REGISTRY_|OTEL_)/.test(name)));
  const child = spawn(program, ["serve", config], { env, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  let running = true;
  const killOnExit = () => child.kill("SIGKILL");
  process.once("exit", killOnExit);
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      running = false;
      process.off("exit", killOnExit);
      resolve();
    };
    child.once("close", end);
    child.once("error", end);
  });
  return {
    child,
    log: () => Buffer.concat(chunks).toString("utf8"),
    running: () => running,
    stop: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}

/** Waits until `/v2/` answers anything, or the program ended. Nothing is true because of the time that passed. */
async function ready(server: Server, port: number): Promise<boolean> {
  const patience = Date.now() + READY_MS;
  while (server.running() && Date.now() < patience) {
    try {
      // Over TLS this is answered 400 by Go's server, which is a sign of life as well.
      const { body } = await request(`http://127.0.0.1:${port}/v2/`);
      await body.dump();
      return server.running() && server.log().includes("listening on");
    } catch {
      await delay(20);
    }
  }
  return false;
}

async function configure(
  options: DockerRegistryOptions,
  dir: string,
  port: number,
  settings: string,
): Promise<Record<string, unknown>> {
  const { tls, proxyOf, readOnly = false, deletes = true } = options;
  const [certificate, key] = [join(settings, "tls.crt"), join(settings, "tls.key")];
  if (tls !== undefined) await Promise.all([writeFile(certificate, tls.cert), writeFile(key, tls.key)]);
  return {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: dir },
      delete: { enabled: deletes },
      maintenance: { readonly: { enabled: readOnly }, uploadpurging: { enabled: false } },
    },
    http: { addr: `127.0.0.1:${port}`, secret: "kit", ...(tls && { tls: { certificate, key } }) },
    ...(proxyOf !== undefined && { proxy: { remoteurl: proxyOf } }),
    ...(await configureAuth(options.auth, settings)),
  };
}

async function configureAuth(auth: DockerRegistryOptions["auth"], settings: string): Promise<Record<string, unknown>> {
  switch (auth?.kind) {
    case undefined:
      return {};
    case "htpasswd": {
      const path = join(settings, "htpasswd");
      const lines = Object.entries(auth.users).map(([user, password]) => `${user}:${bcrypt(password)}\n`);
      await writeFile(path, lines.join(""));
      return { auth: { htpasswd: { realm: "kit", path } } };
    }
    case "token": {
      const { certificate, realm, service, issuer } = auth.server;
      if (certificate === undefined) throw new Error("docker-registry needs a token server with jwt: true");
      const rootcertbundle = join(settings, "token.crt");
      await writeFile(rootcertbundle, certificate.cert);
      return { auth: { token: { realm, service, issuer, rootcertbundle } } };
    }
  }
}
