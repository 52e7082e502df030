import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scriptedServer, type Script } from "../../../test/kit/http/scripted-server.ts";
import { at, collect, describeBlob, eventLog, NO_HOME, noise, testClient } from "../../../test/kit/http/test-client.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { makeCertificate } from "../../../test/kit/tls/certificate.ts";
import { parseReference } from "../../oci/reference.ts";
import { resolveSettings } from "../options.ts";
import { MirrorChain } from "./chain.ts";
import { parseRegistriesConf } from "./registries-conf.ts";

const BLOB = noise(200_000);
const DESCRIPTOR = describeBlob(BLOB);
const TYPE = "application/vnd.oci.image.index.v1+json";
const MANIFEST = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, manifests: [] }));

const serve: Script = (request, response) => {
  if (!request.url.includes("/blobs/")) return void response.writeHead(200, { "content-type": TYPE }).end(MANIFEST);
  const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (request.headers.range === undefined) return void response.end(BLOB);
  const range = { "content-range": `bytes ${start}-${BLOB.length - 1}/${BLOB.length}` };
  response.writeHead(206, range).end(BLOB.subarray(start));
};

async function hostsDir(files: Record<string, string>) {
  const dir = await tempDir();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(dir.path, name), { recursive: true });
    await writeFile(join(dir.path, name, "hosts.toml"), text);
  }
  return dir;
}

function chainOf(options: object): MirrorChain {
  return new MirrorChain(resolveSettings({ registriesConf: false, env: NO_HOME, ...options }));
}

const toml = (name: string): string => `server = "https://${name}"\n`;

async function withConf(text: string) {
  const dir = await tempDir();
  const path = join(dir.path, "registries.conf");
  await writeFile(path, text);
  return { path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

const places = async (
  text: string,
  reference: string,
  purpose: "tag" | "digest" | "blob" = "blob",
): Promise<string[]> => {
  await using conf = await withConf(text);
  const chain = chainOf({ registriesConf: conf.path });
  const endpoints = await chain.endpoints(parseReference(reference), purpose);
  return endpoints.map(({ host, repository }) => `${host}/${repository}`);
};

const oneMirror = (extra: string, pull: string): string =>
  `[[registry]]\nlocation = "r.io"\n${extra}\n[[registry.mirror]]\nlocation = "m.io"\n${pull}`;

const firstOf = async (conf: string, name: string, purpose: "tag" | "digest" | "blob"): Promise<string | undefined> =>
  (await places(conf, name, purpose))[0];

const rule = (location: string): string => `[[registry]]\nprefix = "r.io"\nlocation = "${location}"\n`;

const hostIn = async (env: NodeJS.ProcessEnv): Promise<string | undefined> => {
  const chain = new MirrorChain(resolveSettings({ env }));
  return (await chain.endpoints(parseReference("r.io/x"), "blob"))[0]?.host;
};

describe("hosts.toml", () => {
  it("sends pulls to the mirror first, with ns= and without the registry's credentials", async () => {
    await using mirror = await scriptedServer(serve);
    await using registry = await scriptedServer(serve);
    await using dir = await hostsDir({ [registry.host]: `server = "${registry.url}"\n[host."${mirror.url}"]\n` });
    await using client = testClient({ hostsDir: dir.path, credentials: { username: "ada", password: "secret" } });
    const bytes = await collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR));
    expect(bytes.equals(BLOB)).toBe(true);
    await client.fetchManifest(at(registry.host));
    expect(registry.seen).toHaveLength(0);
    const ns = `ns=${encodeURIComponent(registry.host)}`;
    expect(mirror.seen.map(({ url }) => url)).toEqual([
      `/v2/team/app/blobs/${DESCRIPTOR.digest}?${ns}`,
      `/v2/team/app/manifests/v1?${ns}`,
    ]);
    expect(mirror.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it("does not give the registry's --creds to a mirror that asks for them, and goes on to the registry", async () => {
    await using mirror = await scriptedServer(
      (_request, response) => void response.writeHead(401, { "www-authenticate": 'Basic realm="give me"' }).end(),
    );
    await using registry = await scriptedServer(serve);
    await using dir = await hostsDir({ [registry.host]: `server = "${registry.url}"\n[host."${mirror.url}"]\n` });
    await using client = testClient({ hostsDir: dir.path, credentials: { username: "ada", password: "secret" } });
    const { events, onEvent } = eventLog();
    await client.fetchManifest(at(registry.host), { onEvent });
    expect(mirror.seen).toHaveLength(1);
    expect(events.find(({ type }) => type === "failover")).toEqual({
      type: "failover",
      from: mirror.host,
      to: registry.host,
      reason: "UNAUTHORIZED",
    });
  });

  it("uses credentials that are configured for the mirror's own host", async () => {
    await using dir = await tempDir();
    await using mirror = await scriptedServer((request, response, nth) => {
      if (request.headers.authorization !== undefined) return void serve(request, response, nth);
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
    });
    await using registry = await scriptedServer(serve);
    await using hosts = await hostsDir({ [registry.host]: `server = "${registry.url}"\n[host."${mirror.url}"]\n` });
    const authFile = join(dir.path, "auth.json");
    const auth = Buffer.from("mia:mirror-pw").toString("base64");
    await writeFile(authFile, JSON.stringify({ auths: { [mirror.host]: { auth } } }));
    await using client = testClient({ hostsDir: hosts.path, authFile });
    await client.fetchManifest(at(registry.host));
    expect(mirror.seen.at(-1)?.headers.authorization).toBe(`Basic ${auth}`);
    expect(registry.seen).toHaveLength(0);
  });

  for (const [what, script] of Object.entries<Script>({
    "has it not": (_request, response) => void response.writeHead(404).end(),
    "is failing": (_request, response) => void response.writeHead(503).end(),
    "hangs up": (_request, response) => void response.destroy(),
    lies: (_request, response) => void response.writeHead(200, { "content-type": TYPE }).end('{"not":"it"}'),
  })) {
    it(`is passed over without waiting when the mirror ${what}`, async () => {
      await using mirror = await scriptedServer(script);
      await using registry = await scriptedServer(serve);
      await using dir = await hostsDir({ [registry.host]: `server = "${registry.url}"\n[host."${mirror.url}"]\n` });
      await using client = testClient({ hostsDir: dir.path });
      const { events, onEvent } = eventLog();
      await client.fetchManifest(at(registry.host), { onEvent, size: MANIFEST.length });
      expect(mirror.seen).toHaveLength(1);
      expect(events.filter(({ type }) => type === "retry")).toEqual([]);
    });
  }

  it("resumes a blob at the byte, first where it broke and then at the next host", async () => {
    await using mirror = await scriptedServer((_request, response, nth) => {
      if (nth > 0) return void response.writeHead(404).end();
      response.writeHead(200, { "content-length": BLOB.length });
      response.write(BLOB.subarray(0, 5000), () => response.socket?.end());
    });
    await using registry = await scriptedServer(serve);
    await using dir = await hostsDir({ [registry.host]: `server = "${registry.url}"\n[host."${mirror.url}"]\n` });
    await using client = testClient({ hostsDir: dir.path });
    const bytes = await collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR));
    expect(bytes.equals(BLOB)).toBe(true);
    expect(mirror.seen[1]?.headers.range).toBe(`bytes=5000-${BLOB.length - 1}`);
    expect(registry.seen[0]?.headers.range).toBe(`bytes=5000-${BLOB.length - 1}`);
  });

  it("reports the registry's own failure, and what the mirrors said", async () => {
    await using mirror = await scriptedServer((_request, response) => void response.writeHead(403).end());
    await using registry = await scriptedServer((_request, response) => void response.writeHead(404).end());
    await using dir = await hostsDir({ [registry.host]: `server = "${registry.url}"\n[host."${mirror.url}"]\n` });
    await using client = testClient({ hostsDir: dir.path });
    await expect(client.fetchManifest(at(registry.host))).rejects.toMatchObject({
      code: "MANIFEST_UNKNOWN",
      message: expect.stringContaining(`${mirror.host}: DENIED`),
    });
  });

  it("is looked up as host_port_, host:port and _default, and is read again when it changes", async () => {
    await using dir = await hostsDir({ "r.io_5000_": toml("a"), "r.io:5000": toml("b"), _default: toml("c") });
    const chain = chainOf({ hostsDir: dir.path });
    const first = async (text: string): Promise<string | undefined> =>
      (await chain.endpoints(parseReference(text), "blob"))[0]?.host;
    expect(await first("r.io:5000/x")).toBe("a");
    expect(await first("other.io/x")).toBe("c");
    await writeFile(join(dir.path, "_default", "hosts.toml"), toml("d"));
    expect(await first("other.io/x")).toBe("d");
  });

  it("has its keys read as containerd does", async () => {
    await using dir = await hostsDir({
      "docker.io": `
server = "https://registry-1.docker.io"
[host."mirror.example:8443/hub"]
  capabilities = ["pull"]
  dial_timeout = "200ms"
  skip_verify = true
  [host."mirror.example:8443/hub".header]
    X-One = "1"
    x-many = ["a", "b"]
[host."http://cache.example:5000/deep/v2"]
  capabilities = ["pull", "resolve"]
[host."https://odd.example/path"]
  override_path = true
`,
    });
    const chain = chainOf({ hostsDir: dir.path });
    const all = await chain.endpoints(parseReference("debian:12"), "blob");
    expect(all.map(({ host, prefix, schemes, namespace }) => ({ host, prefix, schemes, namespace }))).toEqual([
      { host: "mirror.example:8443", prefix: "/hub/v2", schemes: ["https"], namespace: "docker.io" },
      { host: "cache.example:5000", prefix: "/deep/v2", schemes: ["http"], namespace: "docker.io" },
      { host: "odd.example", prefix: "/path", schemes: ["https"], namespace: "docker.io" },
      { host: "registry-1.docker.io", prefix: "/v2", schemes: ["https"], namespace: undefined },
    ]);
    expect(all[0]).toMatchObject({
      connectMs: 200,
      tls: { verify: false },
      headers: { "x-one": ["1"], "x-many": ["a", "b"] },
    });
    expect(all[3]).toMatchObject({ credentialHost: "docker.io", upstream: true, ownCredentials: true });
    const hosts = async (purpose: "tag" | "digest" | "referrers"): Promise<string[]> =>
      (await chain.endpoints(parseReference("debian:12"), purpose)).map(({ host }) => host);
    expect(await hosts("tag")).toEqual(["cache.example:5000", "odd.example", "registry-1.docker.io"]);
    expect(await hosts("digest")).toHaveLength(4);
    expect(await hosts("referrers")).toEqual(["odd.example", "registry-1.docker.io"]);
  });

  it("that is broken is CONFIGURATION_INVALID and names the file", async () => {
    for (const text of [
      "server = ",
      "[host.x]\ncapabilities = 5",
      '[host."ftp://x"]',
      '[host."https://x"]\ndial_timeout = "soon"',
    ]) {
      await using dir = await hostsDir({ "r.io": text });
      await expect(chainOf({ hostsDir: dir.path }).endpoints(parseReference("r.io/x"), "blob")).rejects.toMatchObject({
        code: "CONFIGURATION_INVALID",
        message: expect.stringContaining("hosts.toml"),
      });
    }
  });

  it("brings authorities of its own, or leaves only certificates in the directory as Docker does", async () => {
    const certificate = makeCertificate();
    await using registry = await scriptedServer(serve, certificate);
    await using toml = await hostsDir({ [registry.host]: `server = "${registry.url}"\nca = "own-ca.crt"\n` });
    await writeFile(join(toml.path, registry.host, "own-ca.crt"), certificate.cert);
    await using files = await tempDir();
    await mkdir(join(files.path, registry.host));
    await writeFile(join(files.path, registry.host, "any.crt"), certificate.cert);
    for (const dir of [toml.path, files.path]) {
      await using client = testClient({ hostsDir: dir, plainHttp: false });
      expect(await client.fetchManifest(at(registry.host))).toMatchObject({ kind: "index" });
    }
  });
});

describe("registries.conf", () => {
  const digest = `sha256:${"a".repeat(64)}`;

  it("rewrites by the longest prefix, mirrors first", async () => {
    const text = `
[[registry]]
prefix = "docker.io"
location = "hub.internal"
[[registry]]
prefix = "docker.io/library"
location = "images.internal/official"
[[registry.mirror]]
location = "mirror.internal:5000/hub"
[[registry]]
prefix = "*.example.com"
location = "all.internal"
`;
    expect(await places(text, "debian:12")).toEqual([
      "mirror.internal:5000/hub/debian",
      "images.internal/official/debian",
    ]);
    expect(await places(text, "someone/app")).toEqual(["hub.internal/someone/app"]);
    expect(await places(text, "a.b.example.com/x/y")).toEqual(["all.internal/x/y"]);
    expect(await places(text, "example.com/x/y")).toEqual(["example.com/x/y"]);
    expect(await places(text, "docker.io.evil/x")).toEqual(["docker.io.evil/x"]);
  });

  it("leaves mirrors out by digest-only, tag-only and mirror-by-digest-only", async () => {
    expect(await firstOf(oneMirror("", ""), "r.io/x:1", "tag")).toBe("m.io/x");
    const digestOnly = oneMirror("", 'pull-from-mirror = "digest-only"');
    expect(await firstOf(digestOnly, "r.io/x:1", "tag")).toBe("r.io/x");
    expect(await firstOf(digestOnly, `r.io/x@${digest}`, "digest")).toBe("m.io/x");
    const tagOnly = oneMirror("", 'pull-from-mirror = "tag-only"');
    expect(await firstOf(tagOnly, "r.io/x:1", "tag")).toBe("m.io/x");
    expect(await firstOf(tagOnly, `r.io/x@${digest}`, "digest")).toBe("r.io/x");
    expect(await firstOf(oneMirror("mirror-by-digest-only = true", ""), "r.io/x:1", "tag")).toBe("r.io/x");
  });

  it("blocks", async () => {
    await expect(places('[[registry]]\nlocation = "evil.io"\nblocked = true', "evil.io/x")).rejects.toMatchObject({
      code: "REGISTRY_BLOCKED",
    });
  });

  it("names insecure registries, and no ns= goes to its mirrors", async () => {
    await using mirror = await scriptedServer(serve);
    await using conf = await withConf(
      `[[registry]]\nlocation = "registry.invalid"\n[[registry.mirror]]\nlocation = "${mirror.host}/hub"\ninsecure = true\n`,
    );
    await using client = testClient({ registriesConf: conf.path, credentials: { username: "ada", password: "x" } });
    await client.fetchManifest(parseReference("registry.invalid/team/app:v1"));
    expect(mirror.seen[0]?.url).toBe("/v2/hub/team/app/manifests/v1");
    expect(mirror.seen[0]?.headers).not.toHaveProperty("authorization");
    const [first, last] = await chainOf({ registriesConf: conf.path }).endpoints(
      parseReference("registry.invalid/a"),
      "blob",
    );
    expect(first).toMatchObject({ schemes: ["https", "http"], tls: { verify: false }, ownCredentials: false });
    expect(last).toMatchObject({ schemes: ["https"], tls: { verify: true }, ownCredentials: true });
  });

  it("is the user's in place of the system's, with drop-ins, and CONTAINERS_REGISTRIES_CONF alone when set", async () => {
    await using dir = await tempDir();
    const user = join(dir.path, "containers");
    await mkdir(join(user, "registries.conf.d"), { recursive: true });
    await writeFile(join(user, "registries.conf"), rule("from-user"));
    const env = { ...NO_HOME, XDG_CONFIG_HOME: dir.path };
    expect(await hostIn(env)).toBe("from-user");
    await writeFile(join(user, "registries.conf.d", "50-x.conf"), rule("from-drop-in"));
    expect(await hostIn(env)).toBe("from-drop-in");
    const only = join(dir.path, "only.conf");
    await writeFile(only, rule("from-only"));
    expect(await hostIn({ ...env, CONTAINERS_REGISTRIES_CONF: only })).toBe("from-only");
  });

  it("that is broken, or of version 1, is CONFIGURATION_INVALID", async () => {
    for (const text of [
      "[[registry",
      "[[registry]]\nblocked = true",
      '[[registry]]\nlocation = "https://r.io"',
      '[[registry]]\nprefix = "r.*.io"',
      '[[registry]]\nlocation = "r.io"\n[[registry.mirror]]\ninsecure = true',
      '[registries.search]\nregistries = ["docker.io"]',
    ]) {
      await expect(parseRegistriesConf(text, "/x/registries.conf")).rejects.toMatchObject({
        code: "CONFIGURATION_INVALID",
        message: expect.stringContaining("/x/registries.conf"),
      });
    }
  });
});

describe("Docker Hub", () => {
  it("is reached at registry-1.docker.io", async () => {
    const [only] = await chainOf({}).endpoints(parseReference("debian"), "tag");
    expect(only).toMatchObject({
      host: "registry-1.docker.io",
      repository: "library/debian",
      credentialHost: "docker.io",
    });
  });
});
