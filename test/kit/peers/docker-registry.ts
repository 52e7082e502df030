/** Debian's docker-registry (distribution 2.8) as a real server: push, pull, ranges, htpasswd, token authentication. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findPeer } from "../peers.ts";
import type { TokenServer } from "../registry/token-server.ts";
import { tempDir } from "../temp-dir.ts";
import { bcrypt } from "./bcrypt.ts";
import { freePort } from "./free-port.ts";
import { start } from "./run.ts";

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
  readonly log: () => string;
  close(): Promise<void>;
}

const ATTEMPTS = 5;

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
    // REGISTRY_* and OTEL_* variables of the caller would change the configuration.
    const foreign = Object.keys(process.env).filter((name) => /^(REGISTRY_|OTEL_)/.test(name));
    const env = Object.fromEntries(foreign.map((name) => [name, undefined]));
    const server = start(program, ["serve", config], { env, timeoutMs: Infinity });
    try {
      // Said once the socket listens; from then on connections wait in its backlog.
      await server.output(new RegExp(`listening on 127\\.0\\.0\\.1:${port}`));
    } catch (error) {
      if (server.said().includes("address already in use") && attempt < ATTEMPTS) continue;
      throw new Error(`docker-registry did not come up:\n${server.said()}`, { cause: error });
    }
    starting.use(server);
    const stack = starting.move();
    const close = () => stack.disposeAsync();
    const scheme = options.tls === undefined ? "http" : "https";
    const { pid, said: log } = server;
    return {
      host: `127.0.0.1:${port}`,
      url: `${scheme}://127.0.0.1:${port}`,
      dir,
      pid,
      log,
      close,
      [Symbol.asyncDispose]: close,
    };
  }
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
