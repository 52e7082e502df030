/** Pulling from registries that ask who is there: token servers, Basic, accounts from files, and secrets that stay secret. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished, describe, expect, it } from "vitest";
import { startFaultProxy } from "../kit/faults/fault-proxy.ts";
import { scriptedServer } from "../kit/http/scripted-server.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { callsTo } from "../kit/net/call.ts";
import { findPeer } from "../kit/peers.ts";
import { startDockerRegistry } from "../kit/peers/docker-registry.ts";
import type { TokenAuthority } from "../kit/registry/access.ts";
import type { RegistryQuirks } from "../kit/registry/quirks.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { startTokenServer, type TokenServer, type TokenServerOptions } from "../kit/registry/token-server.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, sampleImage } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const PASSWORD = "pa:ss wörd/&=";
const ALICE = `alice:${PASSWORD}`;
const USERS: TokenServerOptions = {
  users: {
    alice: { password: PASSWORD, access: [{ name: "*", actions: ["pull", "push"] }] },
    bob: { password: "bob's", access: [] },
  },
  anonymous: [{ name: "public/*", actions: ["pull"] }],
};

interface Guarded {
  readonly machine: Machine;
  readonly tokens: TokenServer;
  readonly registry: KitRegistry;
}

/** A registry that holds public/app:1 and private/app:1 behind a token server; `watch` may change what it thinks of tokens. */
async function guarded(
  watch: (tokens: TokenServer) => TokenAuthority = (tokens) => tokens,
  quirks: RegistryQuirks = {},
  options: TokenServerOptions = {},
): Promise<Guarded> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const tokens = await startTokenServer({ ...USERS, ...options });
  onTestFinished(() => tokens.close());
  const dir = join(machine.path, "registry");
  await using open = await startRegistry({ dir });
  await pushImage(open.host, "public/app", "1", await sampleImage(1));
  await pushImage(open.host, "private/app", "1", await bulkImage(2, 300_000, 200_000, 100_000));
  const registry = await startRegistry({ dir, quirks, auth: { kind: "token", authority: watch(tokens) } });
  onTestFinished(() => registry.close());
  return { machine, tokens, registry };
}

async function authFile({ machine, registry }: Pick<Guarded, "machine" | "registry">, entry: object): Promise<string> {
  const path = join(machine.path, "auth.json");
  await writeFile(path, JSON.stringify({ auths: { [registry.host]: entry } }));
  return path;
}

const basic = (text: string): string => Buffer.from(text).toString("base64");

async function tokenOf(tokens: TokenServer, query: string): Promise<Record<string, unknown>> {
  const answer = await callsTo(() => `http://${tokens.host}`)("GET", `/token?service=${tokens.service}&${query}`, {
    authorization: `Basic ${basic(ALICE)}`,
  });
  return answer.json();
}

describe("a registry with a token server", () => {
  it("gives to everybody what is public", async () => {
    const { machine, tokens, registry } = await guarded();
    await machine.pull(`${registry.host}/public/app:1`);
    expect(tokens.grants).toMatchObject([
      { grant: "anonymous", scopes: ["repository:public/app:pull"], granted: true },
    ]);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("gives what is private to nobody without an account, and the hint says how to get in", async () => {
    const { machine, registry } = await guarded();
    const error = await machine.fails("pull", `${registry.host}/private/app:1`);
    expect(error).toMatchObject({ code: "UNAUTHORIZED", exit: 4 });
    expect(error.hint).toContain(`varve login ${registry.host}`);
    expect(await machine.images()).toEqual([]);
    expect(await machine.pull("--creds", ALICE, `${registry.host}/private/app:1`)).toMatchObject({ status: "pulled" });
  });

  it("refuses a wrong password and an account without rights, each in its own words", async () => {
    const { machine, registry } = await guarded();
    const image = `${registry.host}/private/app:1`;
    const wrong = await machine.fails("pull", "--creds", "alice:wrong", image);
    expect(wrong).toMatchObject({ code: "UNAUTHORIZED", exit: 4, hint: expect.stringContaining("varve login") });
    const rightless = await machine.fails("pull", "--creds", "bob:bob's", image);
    expect(rightless).toMatchObject({ code: "DENIED", exit: 4, hint: expect.stringContaining("varve login") });
  });

  it.each([undefined, 404, 405, 400, 401])(
    "takes a password, by POST or where that is status %s by GET",
    async (postStatus) => {
      const { machine, tokens, registry } = await guarded(
        undefined,
        {},
        postStatus === undefined ? {} : { postStatus },
      );
      await machine.pull("--creds", ALICE, `${registry.host}/private/app:1`);
      const grant = postStatus === undefined ? "password" : "basic";
      expect(tokens.grants).toMatchObject([{ grant, account: "alice", granted: true }]);
    },
  );

  it("takes accounts from a file: a password, a refresh token, a ready token", async () => {
    const { machine, tokens, registry } = await guarded();
    const refresh = await tokenOf(tokens, "offline_token=true");
    const ready = await tokenOf(tokens, "scope=repository:private/app:pull");
    const kinds: [string, object][] = [
      ["password", { auth: basic(ALICE) }],
      ["refresh_token", { identitytoken: refresh["refresh_token"] }],
      ["none", { registrytoken: ready["token"] }],
    ];
    for (const [grant, entry] of kinds) {
      const before = tokens.grants.length;
      const file = await authFile({ machine, registry }, entry);
      await machine.pull("--authfile", file, `${registry.host}/private/app:1`);
      const granted = tokens.grants.slice(before).map(({ grant }) => grant);
      expect(granted).toEqual(grant === "none" ? [] : [grant]);
      await machine.ok("rm", `${registry.host}/private/app:1`);
    }
  });

  it("that has taken a refresh token back is told from one that is down", async () => {
    const { machine, tokens, registry } = await guarded();
    const { refresh_token: identitytoken } = await tokenOf(tokens, "offline_token=true");
    tokens.revokeRefreshTokens();
    const file = await authFile({ machine, registry }, { identitytoken });
    const image = `${registry.host}/private/app:1`;
    expect(await machine.fails("pull", "--authfile", file, image)).toMatchObject({ code: "UNAUTHORIZED", exit: 4 });
    await tokens.close();
    const down = await machine.fails("pull", "--retries", "0", "--authfile", file, image);
    expect(down).toMatchObject({ code: "REGISTRY_UNREACHABLE", exit: 1 });
    expect(down.message).toContain(tokens.host);
  });

  it.each([2, 3, 4, 5, 6])(
    "whose tokens expire at request %i of a pull is asked for another, and the pull ends well",
    async (nth) => {
      let seen = 0;
      const { machine, tokens, registry } = await guarded((tokens) => ({
        ...tokens,
        verify(token) {
          if (++seen === nth) tokens.revokeTokens();
          return tokens.verify(token);
        },
      }));
      const result = await machine.pull("-j", "1", "--creds", ALICE, `${registry.host}/private/app:1`);
      expect(result).toMatchObject({ status: "pulled", retries: 0 });
      expect(tokens.grants).toHaveLength(2);
      expect(await storeFaults(machine.root)).toEqual([]);
    },
  );

  it("whose token expires while a layer is on its way goes on where the layer broke off", async () => {
    const { machine, tokens, registry } = await guarded();
    await using proxy = await startFaultProxy({ target: registry.host });
    const { layers } = await bulkImage(2, 300_000, 200_000, 100_000);
    const [first, ...others] = layers.map(({ descriptor }) => descriptor);
    const layer = new RegExp(first?.digest ?? expect.fail("no layer"));
    proxy.setRules([{ path: layer, nth: 1, fault: { kind: "stall", afterBytes: 200_000 } }]);
    await using program = machine.start(["pull", "--json", "--creds", ALICE, `${proxy.host}/private/app:1`]);
    const came = (digest: string, bytes: number): boolean =>
      proxy.requests.some(({ path, sent }) => path.includes(digest) && sent === bytes);
    // Of the other layers nothing may be left to ask for, or it would be one of them that meets the revoked token.
    const stalled = (): boolean =>
      came(first?.digest ?? "", 200_000) && others.every(({ digest, size }) => came(digest, size));
    while (!stalled()) await new Promise((resolve) => setImmediate(resolve));
    tokens.revokeTokens();
    await proxy.refuse();
    await proxy.accept();
    const { code, stdout } = await program.result;
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ status: "pulled" });
    const asked = proxy.requests.filter(({ path }) => layer.test(path));
    expect(asked.map(({ status, headers }) => [status, headers.range !== undefined])).toEqual([
      [200, false],
      [401, true],
      [206, true],
    ]);
    expect(tokens.grants).toHaveLength(2);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("that redirects blobs never lets their store see who asks", async () => {
    const { machine, registry } = await guarded(undefined, { blobRedirect: {} });
    await machine.pull("--creds", ALICE, `${registry.host}/private/app:1`);
    const seen = registry.blobOrigin?.requests ?? [];
    expect(seen).toHaveLength(4);
    for (const { headers } of seen) {
      expect(Object.keys(headers)).not.toContain("authorization");
      expect(JSON.stringify(headers)).not.toMatch(/opaque-|alice/);
    }
    expect(await storeFaults(machine.root)).toEqual([]);
  });
});

describe("a registry with Basic authentication", () => {
  it("takes the account of a login, and forgets it at the logout", async () => {
    const machine = await newMachine();
    onTestFinished(() => machine[Symbol.asyncDispose]());
    await using registry = await startRegistry({ auth: { kind: "basic", users: { alice: PASSWORD } } });
    const credentials = { username: "alice", password: PASSWORD };
    await pushImage(registry.host, "app", "1", await sampleImage(), { credentials });
    const image = `${registry.host}/app:1`;
    expect(await machine.fails("pull", image)).toMatchObject({ code: "UNAUTHORIZED", exit: 4 });
    expect(await machine.fails("login", "--creds", "alice:wrong", registry.host)).toMatchObject({ exit: 4 });
    expect(await machine.fails("pull", image)).toMatchObject({ exit: 4 });
    expect(await machine.ok("login", "--creds", ALICE, registry.host)).toMatchObject({ checked: true });
    expect(await machine.pull(image)).toMatchObject({ status: "pulled" });
    await machine.ok("logout", registry.host);
    expect(await machine.fails("pull", image)).toMatchObject({ code: "UNAUTHORIZED", exit: 4 });
  });
});

describe("secrets", () => {
  it("are in no output, however much is asked for, whether it goes well or not", async () => {
    const { machine, tokens, registry } = await guarded();
    const { refresh_token: identitytoken } = await tokenOf(tokens, "offline_token=true");
    const file = await authFile({ machine, registry }, { identitytoken });
    const image = `${registry.host}/private/app:1`;
    // A server that says back all that it is told.
    await using parrot = await scriptedServer(({ headers, body, url }, response) => {
      const message = `${headers.authorization} ${body} ${url}`;
      const authenticate = headers.authorization === undefined ? { "www-authenticate": 'Basic realm="x"' } : {};
      response.writeHead(headers.authorization === undefined ? 401 : 400, authenticate);
      response.end(JSON.stringify({ errors: [{ code: "UNKNOWN", message, detail: message }] }));
    });
    const runs = [
      ["--creds", ALICE, "pull", image],
      ["--creds", `alice:${PASSWORD}!`, "pull", image],
      ["--authfile", file, "pull", `${registry.host}/private/other:1`],
      ["--authfile", file, "pull", image],
      ["--creds", ALICE, "pull", `${parrot.host}/app:1`],
    ];
    const said: string[] = [];
    for (const args of runs) {
      for (const form of [
        ["--progress", "plain"],
        ["--progress", "json", "--json"],
      ]) {
        const { stdout, stderr } = await machine.varve("--debug", ...form, ...args);
        said.push(stdout, stderr);
      }
    }
    const all = said.join("\n");
    expect(parrot.seen.length).toBeGreaterThan(0);
    expect(all).toContain(image);
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), basic(ALICE), basic(`alice:${PASSWORD}!`)]) {
      expect(all).not.toContain(secret);
    }
    expect(all).not.toContain(String(identitytoken));
    expect(all).not.toMatch(/opaque-[\w-]{10}|refresh-[\w-]{10}/);
  });
});

describe.skipIf(findPeer("docker-registry") === undefined)("docker-registry with a token server", () => {
  it("is pulled from anonymously, with a password and with a refresh token, and not without rights", async () => {
    const machine = await newMachine();
    onTestFinished(() => machine[Symbol.asyncDispose]());
    await using tokens = await startTokenServer({ ...USERS, jwt: true });
    await using registry = await startDockerRegistry({ auth: { kind: "token", server: tokens } });
    for (const name of ["public/app", "private/app"]) {
      const { token } = await tokenOf(tokens, `scope=repository:${name}:pull,push`);
      await pushImage(registry.host, name, "1", await sampleImage(1), { token: String(token) });
    }
    const image = `${registry.host}/private/app:1`;
    expect(await machine.fails("pull", image)).toMatchObject({ code: "UNAUTHORIZED", exit: 4 });
    expect(await machine.fails("pull", "--creds", "alice:no", image)).toMatchObject({ code: "UNAUTHORIZED", exit: 4 });
    expect(await machine.fails("pull", "--creds", "bob:bob's", image)).toMatchObject({ exit: 4 });
    expect(await machine.pull(`${registry.host}/public/app:1`)).toMatchObject({ status: "pulled" });
    expect(await machine.pull("--creds", ALICE, image)).toMatchObject({ status: "pulled" });
    await machine.ok("rm", image, `${registry.host}/public/app:1`);
    const { refresh_token: identitytoken } = await tokenOf(tokens, "offline_token=true");
    const file = join(machine.path, "auth.json");
    await writeFile(file, JSON.stringify({ auths: { [registry.host]: { identitytoken } } }));
    expect(await machine.pull("--authfile", file, image)).toMatchObject({ status: "pulled" });
    expect(tokens.grants.at(-1)).toMatchObject({ grant: "refresh_token", granted: true });
    expect(await storeFaults(machine.root)).toEqual([]);
  });
});
