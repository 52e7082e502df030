/** Tokens as clients get them, and what they open: the kit's registry and Debian's docker-registry. */
import { request } from "undici";
import { describe, expect, it } from "vitest";
import { buildImage } from "../images/build-image.ts";
import { pushImage } from "../images/push-image.ts";
import { findPeer } from "../peers.ts";
import { startDockerRegistry } from "../peers/docker-registry.ts";
import { file } from "../trees/tree-node.ts";
import { startRegistry } from "./registry.ts";
import { startTokenServer, type TokenServer, type TokenServerOptions } from "./token-server.ts";

const image = await buildImage({ layers: [[file("a")]] });
const ALL = ["pull", "push", "delete"];
const OPTIONS: TokenServerOptions = {
  users: {
    alice: { password: "s3cret:with colon", access: [{ name: "team/*", actions: ALL }] },
    bob: { password: "pw", access: [{ name: "team/app", actions: ["pull"] }] },
  },
  anonymous: [{ name: "public", actions: ["pull"] }],
};

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
const ALICE = basic("alice", "s3cret:with colon");

interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in?: number;
  readonly refresh_token?: string;
}

async function getToken(server: TokenServer, query: string, authorization?: string) {
  const url = `${server.realm}?service=${server.service}&${query}`;
  const { statusCode, body } = await request(url, { headers: authorization ? { authorization } : {} });
  return { status: statusCode, ...((await body.json()) as TokenAnswer) };
}

async function postToken(server: TokenServer, form: Record<string, string>) {
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const body = new URLSearchParams({ service: server.service, client_id: "kit", ...form }).toString();
  const answer = await request(server.realm, { method: "POST", headers, body });
  return { status: answer.statusCode, ...((await answer.body.json()) as TokenAnswer) };
}

async function guarded(options: TokenServerOptions = OPTIONS) {
  const server = await startTokenServer(options);
  const registry = await startRegistry({ auth: { kind: "token", authority: server } });
  const tags = async (name: string, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await request(`${registry.url}/v2/${name}/tags/list`, { headers });
    await answer.body.dump();
    return { status: answer.statusCode, challenge: String(answer.headers["www-authenticate"] ?? "") };
  };
  const dispose = async () => {
    await registry.close();
    await server.close();
  };
  return { server, registry, tags, [Symbol.asyncDispose]: dispose };
}

describe("a registry behind a token server", () => {
  it("says where to get a token, for what", async () => {
    await using all = await guarded();
    const { status, challenge } = await all.tags("team/app");
    expect(status).toBe(401);
    expect(challenge).toBe(
      `Bearer realm="${all.server.realm}",service="kit.registry",scope="repository:team/app:pull"`,
    );
    expect((await all.tags("team/app", "nonsense")).challenge).toContain('error="invalid_token"');
  });

  it("opens to what the token's owner may do, and no further", async () => {
    await using all = await guarded();
    const { token } = await getToken(all.server, "scope=repository:team/app:pull,push", ALICE);
    await pushImage(all.registry.host, "team/app", "v1", image, { token });
    expect((await all.tags("team/app", token)).status).toBe(200);
    expect((await all.tags("team/other", token)).challenge).toContain('error="insufficient_scope"');
    const bob = await getToken(all.server, "scope=repository:team/app:pull,push", basic("bob", "pw"));
    expect((await all.tags("team/app", bob.token)).status).toBe(200);
    await expect(pushImage(all.registry.host, "team/app", "v2", image, { token: bob.token })).rejects.toThrow("401");
  });

  it("lets anybody do what anonymous clients may", async () => {
    await using all = await guarded();
    const { token } = await getToken(all.server, "scope=repository:public:pull&scope=repository:team/app:pull");
    expect((await all.tags("public", token)).status).toBe(404);
    expect((await all.tags("team/app", token)).status).toBe(401);
  });

  it("closes when tokens expire or are revoked", async () => {
    let now = 1_000_000;
    await using all = await guarded({ ...OPTIONS, now: () => now, expiresInSeconds: 60 });
    const first = await getToken(all.server, "scope=repository:team/app:pull", ALICE);
    expect(first.expires_in).toBe(60);
    expect((await all.tags("team/app", first.token)).status).toBe(404);
    now += 60_000;
    expect((await all.tags("team/app", first.token)).status).toBe(401);
    const second = await getToken(all.server, "scope=repository:team/app:pull", ALICE);
    all.server.revokeTokens();
    expect((await all.tags("team/app", second.token)).status).toBe(401);
  });

  it("mounts only from where the token may pull", async () => {
    await using all = await guarded();
    const { token } = await getToken(all.server, "scope=repository:team/app:pull,push", ALICE);
    await pushImage(all.registry.host, "team/app", "v1", image, { token });
    const digest = image.config.digest;
    const mount = async (token: string) => {
      const url = `${all.registry.url}/v2/team/b/blobs/uploads/?mount=${digest}&from=team/app`;
      const { statusCode, body } = await request(url, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
      });
      await body.dump();
      return statusCode;
    };
    const narrow = await getToken(all.server, "scope=repository:team/b:pull,push", ALICE);
    expect(await mount(narrow.token)).toBe(202);
    const wide = await getToken(all.server, "scope=repository:team/b:pull,push repository:team/app:pull", ALICE);
    expect(await mount(wide.token)).toBe(201);
  });
});

describe("the token server", () => {
  it("takes passwords and refresh tokens by POST", async () => {
    await using server = await startTokenServer(OPTIONS);
    const scope = "repository:team/app:pull repository:team/b:pull";
    const form = { grant_type: "password", username: "alice", password: "s3cret:with colon", access_type: "offline" };
    const first = await postToken(server, { ...form, scope });
    expect(first.status).toBe(200);
    const refresh_token = first.refresh_token ?? "";
    const again = await postToken(server, { grant_type: "refresh_token", refresh_token, scope });
    expect([again.status, again.refresh_token]).toEqual([200, refresh_token]);
    expect(server.verify(again.access_token)).toEqual([
      { name: "team/app", actions: ["pull"] },
      { name: "team/b", actions: ["pull"] },
    ]);
    server.revokeRefreshTokens();
    expect((await postToken(server, { grant_type: "refresh_token", refresh_token, scope })).status).toBe(401);
    expect(server.grants.map(({ grant, account, clientId, granted }) => [grant, account, clientId, granted])).toEqual([
      ["password", "alice", "kit", true],
      ["refresh_token", "alice", "kit", true],
      ["refresh_token", undefined, "kit", false],
    ]);
  });

  it("gives a refresh token by GET when it is asked for one", async () => {
    await using server = await startTokenServer(OPTIONS);
    expect((await getToken(server, "offline_token=true", ALICE)).refresh_token).toMatch(/^refresh-/);
    expect((await getToken(server, "", ALICE)).refresh_token).toBeUndefined();
    expect((await getToken(server, "offline_token=true")).refresh_token).toBeUndefined();
  });

  it("refuses wrong passwords, also those named like properties of objects", async () => {
    await using server = await startTokenServer(OPTIONS);
    expect((await getToken(server, "", basic("alice", "wrong"))).status).toBe(401);
    expect((await getToken(server, "", basic("constructor", ""))).status).toBe(401);
    expect((await postToken(server, { grant_type: "password", username: "bob", password: "" })).status).toBe(401);
    expect((await postToken(server, { grant_type: "device" })).status).toBe(400);
  });

  it("can be of the kinds that know no OAuth2, or tell less", async () => {
    await using server = await startTokenServer({
      ...OPTIONS,
      postStatus: 404,
      field: "access_token",
      tellExpiry: false,
    });
    expect((await postToken(server, { grant_type: "password" })).status).toBe(404);
    const answer = await getToken(server, "", ALICE);
    expect([answer.token, answer.expires_in]).toEqual([undefined, undefined]);
    expect(answer.access_token).toMatch(/^opaque-/);
  });
});

describe.skipIf(findPeer("docker-registry") === undefined)("signed tokens", () => {
  it("open Debian's docker-registry to what they say, and no further", async () => {
    await using server = await startTokenServer({ ...OPTIONS, jwt: true });
    await using registry = await startDockerRegistry({ auth: { kind: "token", server } });
    const { headers } = await request(`${registry.url}/v2/team/app/tags/list`);
    expect(headers["www-authenticate"]).toBe(
      `Bearer realm="${server.realm}",service="kit.registry",scope="repository:team/app:pull"`,
    );
    const { token } = await getToken(server, "scope=repository:team/app:pull,push", ALICE);
    await pushImage(registry.host, "team/app", "v1", image, { token });
    const tags = async (authorization: string) => {
      const answer = await request(`${registry.url}/v2/team/app/tags/list`, { headers: { authorization } });
      await answer.body.dump();
      return answer.statusCode;
    };
    expect(await tags(`Bearer ${token}`)).toBe(200);
    const none = await getToken(server, "scope=repository:team/app:pull");
    expect(await tags(`Bearer ${none.token}`)).toBe(401);
    expect(await tags(`Bearer ${token.slice(0, -6)}AAAAAA`)).toBe(401);
  });
});
