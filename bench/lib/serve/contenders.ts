/** Servers that give out the same blobs on loopback, each in processes of its own. */
import { link, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startDockerRegistry } from "../../../test/kit/peers/docker-registry.ts";
import { freePort } from "../../../test/kit/peers/free-port.ts";
import { start } from "../../../test/kit/peers/run.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { startServe } from "../../../test/kit/daemon/serve-process.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { MANIFEST_TYPE, type BenchContent } from "./content.ts";
import { pushContent } from "./push-content.ts";

/** The repository, everywhere. */
export const NAME = "bench";

export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** All of its processes. */
  readonly pids: readonly number[];
}

/** @param env for the daemon's process */
export async function startVarve(
  dir: string,
  content: BenchContent,
  { name = "varve serve", env = {} }: { readonly name?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Contender> {
  const server = await startServe({ root: join(dir, name.replaceAll(/\W+/g, "-")), args: ["--allow-push"], env });
  await pushContent(server.host, NAME, content);
  return { name, host: server.host, pids: [server.pid], [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

export async function startDocker(dir: string, content: BenchContent): Promise<Contender> {
  const server = await startDockerRegistry({ dir: join(dir, "docker-registry") });
  await pushContent(server.host, NAME, content);
  const dispose = (): Promise<void> => server.close();
  return { name: "docker-registry", host: server.host, pids: [server.pid], [Symbol.asyncDispose]: dispose };
}

/** Files under the paths that a registry has: what the kernel and the plainest of servers take. */
export async function startNginx(dir: string, content: BenchContent): Promise<Contender | undefined> {
  const program = findPeer("nginx");
  if (program === undefined) return undefined;
  const own = join(dir, "nginx");
  const root = join(own, "root/v2", NAME);
  for (const folder of ["blobs", "manifests"]) await mkdir(join(root, folder), { recursive: true });
  for (const { digest, path } of [content.large, ...content.mixed]) await link(path, join(root, "blobs", digest));
  await writeFile(join(root, "manifests/1"), content.manifest);
  const port = await freePort();
  const config = join(own, "nginx.conf");
  await writeFile(config, configuration(own, port, digestOf(content.manifest)));
  const server = start(program, ["-p", own, "-c", config, "-e", join(own, "error.log")], { timeoutMs: Infinity });
  const host = `127.0.0.1:${port}`;
  await untilAnswered(`http://${host}/v2/${NAME}/manifests/1`, server.result);
  const children = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, "utf8");
  const pids = [server.pid, ...children.trim().split(" ").map(Number)];
  const dispose = async (): Promise<void> => {
    // It ends its workers itself.
    server.kill("SIGTERM");
    await server.result;
  };
  return { name: "nginx", host, pids, [Symbol.asyncDispose]: dispose };
}

function configuration(dir: string, port: number, manifestDigest: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((of) => `${of}_temp_path ${dir}/${of};`);
  // Workers of root's would be nobody, who may not look into temporary directories.
  const user = process.getuid?.() === 0 ? "user root; " : "";
  return `${user}daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; ${temporary.join(" ")}
  server {
    listen 127.0.0.1:${port}; root ${dir}/root;
    location ~ /manifests/ {
      types { } default_type ${MANIFEST_TYPE};
      add_header Docker-Content-Digest ${manifestDigest};
    }
  }
}
`;
}

async function untilAnswered(url: string, ended: Promise<unknown>): Promise<void> {
  const gone = ended.then(() => true);
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok === true) return;
    if (answer !== undefined) throw new Error(`nginx answers ${answer.status}`);
    if (await Promise.race([gone, delay(20)])) throw new Error("nginx did not come up");
  }
}
