/** PostgreSQL as a real server of its own: an empty cluster in a temporary directory, on loopback and a Unix socket, with passwords. */
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findPeer } from "../peers.ts";
import { tempDir } from "../temp-dir.ts";
import { freePort } from "./free-port.ts";
import { runOk, start, type RunningProgram } from "./run.ts";

export interface PostgresOptions {
  /** Serves TLS with this certificate (PEM). */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface Postgres extends AsyncDisposable {
  readonly host: string;
  /** With the password, percent-encoded. @param database made by {@link createDatabase}; default `postgres` */
  url(database?: string): string;
  /** An empty one, which costs a tenth of a server. @returns its URL */
  createDatabase(name: string): Promise<string>;
  /** Rows of the database as psql prints them, unaligned. */
  sql(database: string, text: string): Promise<string>;
  /** Takes it away at once, as a crash would. */
  stop(): Promise<void>;
  /** Brings it back on the same port with what it had. */
  start(): Promise<void>;
}

export const hasPostgres = (["initdb", "postgres", "psql", "setpriv"] as const).every(
  (name) => findPeer(name) !== undefined,
);

const USER = "varve";
/** Of characters that URLs have to encode. */
export const POSTGRES_PASSWORD = "s3cr:t/p@ss%word";
const ATTEMPTS = 5;

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  await using starting = new AsyncDisposableStack();
  const dir = starting.use(await tempDir("varve-postgres-")).path;
  const owner = await unprivilegedUser();
  const data = join(dir, "data");
  const passwordFile = join(dir, "password");
  await mkdir(data);
  await writeFile(passwordFile, `${POSTGRES_PASSWORD}\n`);
  if (options.tls !== undefined) {
    await writeFile(join(dir, "tls.crt"), options.tls.cert);
    await writeFile(join(dir, "tls.key"), options.tls.key, { mode: 0o600 });
  }
  if (owner !== undefined) {
    const names = [
      dir,
      data,
      passwordFile,
      ...(options.tls === undefined ? [] : ["tls.crt", "tls.key"].map((name) => join(dir, name))),
    ];
    for (const path of names) await chown(path, owner.uid, owner.gid);
  }
  await chmod(data, 0o700);
  const [program, before] = asUser(owner);
  const made = [
    "-D",
    data,
    "-U",
    USER,
    "-A",
    "scram-sha-256",
    "--pwfile",
    passwordFile,
    "-E",
    "UTF8",
    "--locale=C",
    "-N",
  ];
  await runOk(program, [...before, peer("initdb"), ...made], { cwd: dir });

  let port = 0;
  let server: RunningProgram | undefined;
  const come = async (): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      if (port === 0) port = await freePort();
      const settings = settingsOf(dir, port, options).flatMap((setting) => ["-c", setting]);
      server = start(program, [...before, peer("postgres"), "-D", data, ...settings], {
        cwd: dir,
        timeoutMs: Infinity,
      });
      try {
        await server.output(/database system is ready to accept connections/);
        return;
      } catch (error) {
        if (!server.said().includes("could not bind") || attempt >= ATTEMPTS) {
          throw new Error(`postgres did not come up:\n${server.said()}`, { cause: error });
        }
        port = 0;
      }
    }
  };
  const go = async (): Promise<void> => {
    // Its backends end with it, which killing it would leave to them.
    server?.kill("SIGQUIT");
    await server?.result;
    server = undefined;
  };
  starting.defer(go);
  await come();
  const stack = starting.move();
  const url = (database = "postgres"): string =>
    `postgres://${USER}:${encodeURIComponent(POSTGRES_PASSWORD)}@127.0.0.1:${port}/${database}`;
  const sql = async (database: string, text: string): Promise<string> => {
    const { stdout } = await runOk(peer("psql"), ["-X", "-A", "-t", "-d", url(database), "-c", text], { cwd: "/" });
    return stdout.toString().trim();
  };
  return {
    host: `127.0.0.1:${port}`,
    url,
    sql,
    async createDatabase(name) {
      await sql("postgres", `CREATE DATABASE ${name}`);
      return url(name);
    },
    stop: go,
    start: come,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function settingsOf(dir: string, port: number, { tls }: PostgresOptions): string[] {
  return [
    "listen_addresses=127.0.0.1",
    `port=${port}`,
    `unix_socket_directories=${dir}`,
    "fsync=off",
    "full_page_writes=off",
    "max_connections=60",
    ...(tls === undefined
      ? []
      : ["ssl=on", `ssl_cert_file=${join(dir, "tls.crt")}`, `ssl_key_file=${join(dir, "tls.key")}`]),
  ];
}

function peer(name: "initdb" | "postgres" | "psql" | "setpriv"): string {
  const path = findPeer(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root. */
async function unprivilegedUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const line = lines.find(([name]) => name === "postgres") ?? lines.find(([name]) => name === "nobody");
  return { uid: Number(line?.[2] ?? 65_534), gid: Number(line?.[3] ?? 65_534) };
}

function asUser(user: User | undefined): [program: string, args: string[]] {
  if (user === undefined) return [peer("setpriv"), ["--pdeathsig", "QUIT"]];
  // With the signal of a parent's death, so that a test run that is killed leaves no server behind.
  const ids = [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  return [peer("setpriv"), [...ids, "--pdeathsig", "QUIT"]];
}
