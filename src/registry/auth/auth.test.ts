import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../../../test/kit/http/fake-clock.ts";
import { scriptedServer, type Script } from "../../../test/kit/http/scripted-server.ts";
import { at, collect, describeBlob, NO_HOME, noise, testClient } from "../../../test/kit/http/test-client.ts";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { startDockerRegistry } from "../../../test/kit/peers/docker-registry.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import {
  startTokenServer,
  type TokenServer,
  type TokenServerOptions,
} from "../../../test/kit/registry/token-server.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { makeCertificate } from "../../../test/kit/tls/certificate.ts";
import { VarveError } from "../../errors/varve-error.ts";

const ALL = [{ name: "*", actions: ["pull", "push"] }];
const users = { ada: { password: "secret-of-ada", access: ALL }, eve: { password: "secret-of-eve", access: [] } };
const ada = { username: "ada", password: "secret-of-ada" };

async function tokenRegistry(options: TokenServerOptions = {}) {
  const stack = new AsyncDisposableStack();
  const server: TokenServer = stack.use(await startTokenServer({ users, ...options }));
  const registry: KitRegistry = stack.use(await startRegistry({ auth: { kind: "token", authority: server } }));
  const image = await buildImage({ layers: [noise(200_000)], compression: "none" });
  const client = stack.use(testClient({ credentials: ada }));
  const push = await fetch(server.realm, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "password",
      ...ada,
      service: server.service,
      scope: "repository:team/app:pull,push",
    }),
  });
  const token = push.ok ? ((await push.json()) as { access_token?: string; token?: string }) : undefined;
  const bearer = token?.access_token ?? token?.token;
  if (bearer !== undefined) await pushImage(registry.host, "team/app", "v1", image, { token: bearer });
  const told = server.grants.length;
  return {
    server,
    registry,
    image,
    client,
    grants: () => server.grants.slice(told),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("a token", () => {
  it("is got with an OAuth password grant, once, and reused for all that follows", async () => {
    await using setup = await tokenRegistry();
    const { registry, client, image } = setup;
    const reference = at(registry.host);
    await client.resolve(reference);
    await client.fetchManifest(reference);
    await client.fetchBlobBytes(reference, image.layers[0]?.descriptor ?? expect.fail("no layer"));
    expect(setup.grants()).toEqual([
      expect.objectContaining({
        grant: "password",
        account: "ada",
        scopes: ["repository:team/app:pull"],
        clientId: "varve",
      }),
    ]);
  });

  it("is asked for only once by requests that need it at the same time", async () => {
    await using setup = await tokenRegistry();
    const { registry, client } = setup;
    await Promise.all(Array.from({ length: 8 }, () => client.fetchManifest(at(registry.host))));
    expect(setup.grants()).toHaveLength(1);
  });

  for (const postStatus of [400, 401, 404, 405]) {
    it(`is got by GET with Basic from a service that answers ${postStatus} to POST, which is then not asked again`, async () => {
      await using server = await startTokenServer({ users, postStatus, expiresInSeconds: 1 });
      await using registry = await startRegistry({ auth: { kind: "token", authority: server } });
      const clock = fakeClock();
      await using client = testClient({ credentials: ada, clock });
      const missing = { code: "MANIFEST_UNKNOWN" };
      await expect(client.resolve(at(registry.host))).rejects.toMatchObject(missing);
      clock.advance(3600_000);
      await expect(client.resolve(at(registry.host))).rejects.toMatchObject(missing);
      expect(server.requests.map(({ method }) => method)).toEqual(["POST", "GET", "GET"]);
      expect(server.grants.every(({ grant, granted }) => grant === "basic" && granted)).toBe(true);
    });
  }

  it("is got anonymously without any account", async () => {
    await using server = await startTokenServer({ anonymous: ALL });
    await using registry = await startRegistry({ auth: { kind: "token", authority: server } });
    await using client = testClient();
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    expect(server.grants).toEqual([expect.objectContaining({ grant: "anonymous", granted: true })]);
  });

  it("is taken as it is named: access_token alone will do, and so will token", async () => {
    for (const field of ["token", "access_token"] as const) {
      await using server = await startTokenServer({ anonymous: ALL, field });
      await using registry = await startRegistry({ auth: { kind: "token", authority: server } });
      await using client = testClient();
      await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    }
  });

  it("that expires in the middle of a pull is replaced once, and the pull goes on", async () => {
    await using setup = await tokenRegistry();
    const { registry, client, server, image } = setup;
    const reference = at(registry.host);
    await client.fetchManifest(reference);
    server.revokeTokens();
    const layer = image.layers[0]?.descriptor ?? expect.fail("no layer");
    const parts = [0, 1, 2, 3].map((part) => ({ start: part * 50_000, end: (part + 1) * 50_000 }));
    const blobs = client.blobs(reference);
    const bytes = await Promise.all(parts.map((range) => collect(blobs.readBlob(layer, { range }))));
    expect(Buffer.concat(bytes)).toHaveLength(200_000);
    expect(setup.grants()).toHaveLength(2);
  });

  it("is renewed before it expires, and lives for at least 60 seconds", async () => {
    await using server = await startTokenServer({ anonymous: ALL, tellExpiry: false });
    await using registry = await startRegistry({ auth: { kind: "token", authority: server } });
    const clock = fakeClock();
    await using client = testClient({ clock });
    const ask = (): Promise<unknown> => client.resolve(at(registry.host)).catch(() => undefined);
    await ask();
    clock.advance(50_000);
    await ask();
    expect(server.grants).toHaveLength(1);
    clock.advance(6000);
    await ask();
    expect(server.grants).toHaveLength(2);
    // Without another 401: the token was renewed ahead of it.
    expect(registry.requests.filter(({ status }) => status === 401)).toHaveLength(1);
  });

  it("comes from a refresh token when the credential file has an identity token", async () => {
    await using dir = await tempDir();
    const authFile = join(dir.path, "auth.json");
    await using service = await scriptedServer(
      (_request, response) => void response.end(JSON.stringify({ access_token: "opensesame" })),
    );
    await using registry = await scriptedServer((request, response) => {
      if (request.headers.authorization === "Bearer opensesame") response.writeHead(404).end();
      else response.writeHead(401, { "www-authenticate": `bearer realm="${service.url}/token",service=acr` }).end();
    });
    await writeFile(authFile, JSON.stringify({ auths: { [registry.host]: { identitytoken: "refresh-me" } } }));
    await using client = testClient({ authFile });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    expect(service.seen).toHaveLength(1);
    expect(service.seen[0]).toMatchObject({ method: "POST", url: "/token" });
    expect(Object.fromEntries(new URLSearchParams(service.seen[0]?.body))).toEqual({
      grant_type: "refresh_token",
      refresh_token: "refresh-me",
      service: "acr",
      client_id: "varve",
      scope: "repository:team/app:pull",
    });
  });

  it("that the credential file has ready is sent as it is", async () => {
    await using dir = await tempDir();
    const authFile = join(dir.path, "auth.json");
    await using registry = await scriptedServer((request, response) => {
      if (request.headers.authorization === "Bearer ready-made") response.writeHead(404).end();
      else response.writeHead(401, { "www-authenticate": 'Bearer realm="http://127.0.0.1:1/token"' }).end();
    });
    await writeFile(authFile, JSON.stringify({ auths: { [registry.host]: { registrytoken: "ready-made" } } }));
    await using client = testClient({ authFile });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
  });

  it("of too little scope is replaced by one with the scope that the registry names", async () => {
    const scopes: string[] = [];
    await using service = await scriptedServer((request, response) => {
      const asked = new URL(request.url, "http://x").searchParams.getAll("scope").join(" ");
      scopes.push(asked);
      response.end(JSON.stringify({ token: `for-${asked.includes("other/base") ? "both" : "one"}` }));
    });
    await using registry = await scriptedServer((request, response) => {
      const challenge = `Bearer realm="${service.url}/t",service="s"`;
      const { authorization } = request.headers;
      if (authorization === "Bearer for-both") response.writeHead(404).end();
      else if (authorization === undefined) response.writeHead(401, { "www-authenticate": challenge }).end();
      else {
        const more = `${challenge},scope="repository:other/base:pull",error="insufficient_scope"`;
        response.writeHead(401, { "www-authenticate": more }).end();
      }
    });
    await using client = testClient();
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    expect(scopes).toEqual(["repository:team/app:pull", "repository:other/base:pull repository:team/app:pull"]);
  });
});

const refused = async (script: Script, options = {}): Promise<{ error: VarveError; asked: number }> => {
  await using registry = await scriptedServer(script);
  await using client = testClient(options);
  const error: unknown = await client.fetchManifest(at(registry.host)).catch((reason: unknown) => reason);
  if (!(error instanceof VarveError)) throw new Error("no coded error");
  return { error, asked: registry.seen.length };
};

/** Says when it has begun and when it has ended, beside itself. */
const SLOW_HELPER = '#!/bin/sh\ncd "$(dirname "$0")" && : >begun && sleep 15 && : >ended\n';

describe("a credential helper that takes its time", () => {
  it("is left at once when the pull is stopped", async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, "docker-credential-slow"), SLOW_HELPER, { mode: 0o755 });
    await writeFile(join(dir.path, "auth.json"), JSON.stringify({ credsStore: "slow" }));
    const stop = new AbortController();
    await using server = await scriptedServer((_, response) => {
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
    });
    const env = { ...NO_HOME, PATH: `${dir.path}:${process.env["PATH"]}` };
    await using client = testClient({ authFile: join(dir.path, "auth.json"), env });
    const asking = client.resolve(at(server.host), { signal: stop.signal });
    asking.catch(() => stop.abort());
    while (!existsSync(join(dir.path, "begun")) && !stop.signal.aborted) await new Promise(setImmediate);
    stop.abort();
    await expect(asking).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(existsSync(join(dir.path, "ended"))).toBe(false);
  });
});

describe("a refusal", () => {
  it("of a wrong password is UNAUTHORIZED with a hint, at once, and shows no secret", async () => {
    await using server = await startTokenServer({ users });
    await using registry = await startRegistry({ auth: { kind: "token", authority: server } });
    const clock = fakeClock();
    await using client = testClient({ credentials: { username: "ada", password: "wrong-password" }, clock });
    const error: unknown = await client.resolve(at(registry.host)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "UNAUTHORIZED",
      hint: expect.stringContaining(`varve login ${registry.host}`),
    });
    expect(JSON.stringify(error) + String(error)).not.toContain("wrong-password");
    expect(clock.slept).toEqual([]);
  });

  it("of an account that may not read this is DENIED", async () => {
    await using server = await startTokenServer({ users });
    await using registry = await startRegistry({ auth: { kind: "token", authority: server } });
    await using client = testClient({ credentials: { username: "eve", password: "secret-of-eve" } });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "DENIED" });
  });

  it("without an account is UNAUTHORIZED", async () => {
    await using server = await startTokenServer({ users });
    await using registry = await startRegistry({ auth: { kind: "token", authority: server } });
    await using client = testClient();
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  it("by a registry that echoes what it was sent does not show the secret", async () => {
    const { error } = await refused(
      (request, response) => {
        const { authorization } = request.headers;
        if (authorization === undefined) response.writeHead(401, { "www-authenticate": "Basic" }).end();
        else response.writeHead(403).end(`you sent ${authorization} which is ${ada.password}`);
      },
      { credentials: ada },
    );
    expect(error.code).toBe("DENIED");
    expect(error.message).not.toContain(ada.password);
    expect(error.message).not.toContain(Buffer.from(`ada:${ada.password}`).toString("base64"));
  });

  it("without a challenge is UNAUTHORIZED after one request", async () => {
    const { error, asked } = await refused((_request, response) => void response.writeHead(401).end());
    expect(error.code).toBe("UNAUTHORIZED");
    expect(asked).toBe(1);
  });

  it("that never ends is UNAUTHORIZED after a few requests", async () => {
    await using service = await scriptedServer(
      (_r, response, nth) => void response.end(JSON.stringify({ token: `t${nth}` })),
    );
    const { error, asked } = await refused((_request, response, nth) => {
      const challenge = `Bearer realm="${service.url}/t",scope="repository:n${nth}:pull"`;
      response.writeHead(401, { "www-authenticate": challenge }).end();
    });
    expect(error.code).toBe("UNAUTHORIZED");
    expect(asked).toBeLessThanOrEqual(3);
  });

  it("is what a registry gets that has https and wants its credentials sent over plain http", async () => {
    const certificate = makeCertificate();
    await using dir = await tempDir();
    const caFile = join(dir.path, "ca.pem");
    await writeFile(caFile, certificate.cert);
    await using service = await scriptedServer((_request, response) => void response.end("{}"));
    await using registry = await scriptedServer((_request, response) => {
      response.writeHead(401, { "www-authenticate": `Bearer realm="${service.url}/t"` }).end();
    }, certificate);
    await using client = testClient({ credentials: ada, caFile, plainHttp: false });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "REGISTRY_PROTOCOL" });
    expect(service.seen).toHaveLength(0);
  });

  it("by the token service for now is retried", async () => {
    await using service = await scriptedServer((_request, response, nth) => {
      if (nth === 0) response.writeHead(503).end();
      else response.end(JSON.stringify({ token: "late" }));
    });
    const { error } = await refused((request, response) => {
      if (request.headers.authorization === "Bearer late") response.writeHead(404).end();
      else response.writeHead(401, { "www-authenticate": `Bearer realm="${service.url}/t"` }).end();
    });
    expect(error.code).toBe("MANIFEST_UNKNOWN");
    expect(service.seen).toHaveLength(2);
  });

  for (const [what, body] of Object.entries({
    "is not JSON": "<html>",
    "has no token": "{}",
    "has a token that would split the header": JSON.stringify({ token: "a\r\nx-evil: 1" }),
    "is too large": "x".repeat(2 * 1024 * 1024),
  })) {
    it(`follows from a token answer that ${what}`, async () => {
      await using service = await scriptedServer((_request, response) => void response.end(body));
      const { error } = await refused((_request, response) => {
        response.writeHead(401, { "www-authenticate": `Bearer realm="${service.url}/t"` }).end();
      });
      expect(error.code).toBe("REGISTRY_PROTOCOL");
    });
  }

  it("leads to no cookie being kept or sent", async () => {
    await using registry = await scriptedServer(
      (_request, response) => void response.writeHead(404, { "set-cookie": "sid=harbor" }).end(),
    );
    await using client = testClient();
    await client.resolve(at(registry.host)).catch(() => undefined);
    await client.resolve(at(registry.host)).catch(() => undefined);
    expect(registry.seen.some(({ headers }) => headers.cookie !== undefined)).toBe(false);
  });
});

describe.skipIf(findPeer("docker-registry") === undefined)("Debian's docker-registry with tokens", () => {
  it("is read, blobs and all, with tokens that the kit's server signs", async () => {
    await using server = await startTokenServer({ jwt: true, users });
    await using registry = await startDockerRegistry({ auth: { kind: "token", server } });
    const image = await buildImage({ layers: [noise(100_000)], compression: "gzip" });
    const query = new URLSearchParams({ service: server.service, scope: "repository:team/app:pull,push" });
    const authorization = `Basic ${Buffer.from("ada:secret-of-ada").toString("base64")}`;
    const answer = await fetch(`${server.realm}?${query.toString()}`, { headers: { authorization } });
    const { token } = (await answer.json()) as { token: string };
    await pushImage(registry.host, "team/app", "v1", image, { token });
    await using client = testClient({ credentials: ada, env: NO_HOME });
    const reference = at(registry.host);
    expect((await client.resolve(reference)).digest).toBe(image.digest);
    const layer = image.layers[0]?.descriptor;
    expect(await client.fetchBlobBytes(reference, layer ?? describeBlob(Buffer.of(1)))).toHaveLength(layer?.size ?? 0);
    await using eve = testClient({ credentials: { username: "eve", password: "secret-of-eve" } });
    await expect(eve.resolve(reference)).rejects.toMatchObject({ code: "DENIED" });
  });
});
