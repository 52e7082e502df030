/** Who is let in over TCP, over HTTP as clients speak it. */
import { writeFile } from "node:fs/promises";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { Agent, request } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { startTestDaemon, type TestDaemon } from "../../../test/kit/daemon/start-daemon.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { makeCertificate, type Certificate } from "../../../test/kit/tls/certificate.ts";

const TOKEN = "0123456789abcdef0123";
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

async function ownDir(): Promise<string> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return dir.path;
}

async function withTokens(text = `${TOKEN} laptop\n`): Promise<TestDaemon & { readonly tokenFile: string }> {
  const tokenFile = `${await ownDir()}/tokens`;
  await writeFile(tokenFile, text);
  return { ...(await startTestDaemon({ config: { listen: { noAuth: false, tokenFile } } })), tokenFile };
}

describe("with tokens", () => {
  it("answers who has none what is needed, in the form that its path's clients read", async () => {
    const { call } = await withTokens();
    const api = await call("GET", "/v1/version");
    expect(api).toMatchObject({ status: 401, headers: { "www-authenticate": 'Bearer realm="varve"' } });
    expect(api.json()).toMatchObject({
      error: { code: "UNAUTHORIZED", hint: expect.stringContaining("Bearer TOKEN") },
    });
    const registry = await call("GET", "/v2/");
    expect(registry).toMatchObject({ status: 401, headers: { "www-authenticate": 'Basic realm="varve"' } });
    expect(registry.code()).toBe("UNAUTHORIZED");
    // The next request comes with the token, and on the same connection.
    expect(registry.headers["connection"]).toBe("keep-alive");
    for (const path of ["/metrics", "/v1/jobs", "/v1/nothing", "/nothing", "/deltas/create?src=a&dest=b"]) {
      expect((await call("GET", path)).status).toBe(401);
    }
    for (const method of ["POST", "PUT", "PATCH", "DELETE"] as const) {
      expect((await call(method, "/v2/a/blobs/uploads/")).status).toBe(401);
    }
  });

  it("takes a token as bearer, and as the password of any user", async () => {
    const { call } = await withTokens();
    for (const authorization of [`Bearer ${TOKEN}`, `bearer  ${TOKEN}`, basic("me", TOKEN), basic("", TOKEN)]) {
      expect((await call("GET", "/v2/", { authorization })).status).toBe(200);
      expect((await call("GET", "/v1/version", { authorization })).status).toBe(200);
    }
    const wrong = [
      `Bearer ${TOKEN.slice(1)}`,
      basic(TOKEN, "x"),
      basic("x", `${TOKEN}x`),
      `Digest ${TOKEN}`,
      TOKEN,
      "Bearer",
      "Basic !!!",
    ];
    for (const authorization of wrong) {
      expect((await call("GET", "/v2/", { authorization })).status).toBe(401);
    }
  });

  it("needs none for whether it lives, for the page and for what describes the API", async () => {
    const { call } = await withTokens();
    for (const path of ["/healthz", "/readyz", "/openapi.json", "/docs"]) {
      expect((await call("GET", path)).status).toBe(200);
    }
    expect((await call("GET", "/")).status).not.toBe(401);
  });

  it("takes new ones and forgets old ones at a reload, and keeps those it has when the file is broken", async () => {
    const daemon = await withTokens();
    const { call, log, tokenFile } = daemon;
    const ask = async (token: string): Promise<number> =>
      (await call("GET", "/v2/", { authorization: `Bearer ${token}` })).status;
    const next = "ffffffffffffffffffff";
    await writeFile(tokenFile, `${next}\n`);
    await daemon.reload();
    expect([await ask(TOKEN), await ask(next)]).toEqual([401, 200]);
    await writeFile(tokenFile, "short\n");
    await daemon.reload();
    expect(log.at(-1)).toMatchObject({ level: "error", code: "CONFIGURATION_INVALID" });
    expect(await ask(next)).toBe(200);
  });

  it("writes no token to its log", async () => {
    const { call, log } = await withTokens();
    await call("GET", `/v2/?token=${TOKEN}`, { authorization: `Bearer ${TOKEN}` });
    await call("POST", "/v1/pulls", { authorization: basic("u", TOKEN) }, JSON.stringify({ token: TOKEN }));
    expect(JSON.stringify(log)).not.toContain(TOKEN);
    expect(JSON.stringify(log)).not.toContain(Buffer.from(`u:${TOKEN}`).toString("base64"));
    expect(log.filter(({ message }) => message === "request")).toMatchObject([
      { path: "/v2/?token=...", who: "laptop" },
      { path: "/v1/pulls", who: "laptop" },
    ]);
  });
});

describe("where it may listen", () => {
  it.each([
    [{ address: "0.0.0.0:0", noAuth: true }, "0.0.0.0 is no loopback address"],
    [{ address: "*:0", noAuth: true }, "is no loopback address"],
    [{ address: "127.0.0.1:0", noAuth: false }, "needs tokens or clients' certificates"],
    [{ address: "127.0.0.1:99999" }, "is no address to listen at"],
    [{ address: null }, "there is nothing to listen at"],
    [{ tokenFile: "/nowhere/tokens", noAuth: false }, "/nowhere/tokens"],
  ])("refuses %j", async (listen, message) => {
    await expect(startTestDaemon({ config: { listen } })).rejects.toThrow(message);
  });

  it("says whether somebody else listens there", async () => {
    const { host } = await startTestDaemon();
    const taken = startTestDaemon({ config: { listen: { address: host } } });
    await expect(taken).rejects.toMatchObject({ code: "DAEMON_RUNNING" });
  });
});

describe("without tokens on loopback", () => {
  it("answers names of this machine only, and no pages of other sites", async () => {
    const { call } = await startTestDaemon();
    const rebound = await call("GET", "/v1/images", { host: "evil.example" });
    expect(rebound.status).toBe(403);
    expect(rebound.json()).toMatchObject({ error: { code: "DENIED" } });
    expect((await call("GET", "/v2/", { host: "evil.example" })).code()).toBe("DENIED");
    expect((await call("GET", "/v2/", { host: "localhost:80" })).status).toBe(200);
    expect((await call("POST", "/v1/gc", { origin: "https://evil.example" })).status).toBe(403);
    expect((await call("POST", "/v1/gc", { "sec-fetch-site": "cross-site" })).status).toBe(403);
    // Whoever watches over it does not know by what name it asks.
    expect((await call("GET", "/healthz", { host: "evil.example" })).status).toBe(200);
  });
});

describe("with TLS", () => {
  /** Certificates on disk, and a client that trusts them. */
  async function certificates() {
    const dir = await ownDir();
    const authority = makeCertificate({ commonName: "varve test clients" });
    const server = makeCertificate();
    const write = async (name: string, text: string): Promise<string> => {
      await writeFile(`${dir}/${name}`, text);
      return `${dir}/${name}`;
    };
    const tls = {
      certFile: await write("cert.pem", server.cert),
      keyFile: await write("key.pem", server.key),
      clientCaFile: await write("ca.pem", authority.cert),
    };
    return { authority, server, tls };
  }

  async function get(daemon: TestDaemon, ca: string, client?: Certificate): Promise<number> {
    const own = client === undefined ? {} : { cert: client.cert, key: client.key };
    const agent = new Agent({ connect: { ca, ...own } });
    try {
      const { statusCode, body } = await request(`${daemon.origin}/v1/version`, { dispatcher: agent });
      await body.dump();
      return statusCode;
    } finally {
      await agent.close();
    }
  }

  it("lets in whose certificate an authority of the configuration vouches for, and says who else is not", async () => {
    const { authority, server, tls } = await certificates();
    const daemon = await startTestDaemon({ config: { listen: { noAuth: false, tls } } });
    const own = makeCertificate({ commonName: "ci runner", issuer: authority });
    expect(await get(daemon, server.cert, own)).toBe(200);
    expect(daemon.log.at(-1)).toMatchObject({ who: "ci runner", status: 200 });
    expect(await get(daemon, server.cert)).toBe(401);
    const stranger = makeCertificate({ commonName: "ci runner", issuer: makeCertificate() });
    expect(await get(daemon, server.cert, stranger)).toBe(401);
    const expired = makeCertificate({ issuer: authority, notBefore: new Date(0), notAfter: new Date(1e12) });
    expect(await get(daemon, server.cert, expired)).toBe(401);
  });

  it("shows a new certificate to new connections after a reload, and the old one when the new one is broken", async () => {
    const { authority, server, tls } = await certificates();
    const own = makeCertificate({ issuer: authority });
    const daemon = await startTestDaemon({ config: { listen: { noAuth: false, tls } } });
    const next = makeCertificate();
    await writeFile(tls.certFile, next.cert);
    await daemon.reload();
    expect(daemon.log.at(-1)).toMatchObject({ level: "error", code: "CONFIGURATION_INVALID" });
    expect(await get(daemon, server.cert, own)).toBe(200);
    await writeFile(tls.keyFile, next.key);
    await daemon.reload();
    expect(await get(daemon, next.cert, own)).toBe(200);
    await expect(get(daemon, server.cert, own)).rejects.toThrow(/certificate/);
  });

  it("lets in by new authorities only after a reload, also on connections that are kept", async () => {
    const { authority, server, tls } = await certificates();
    const daemon = await startTestDaemon({ config: { listen: { noAuth: false, tls } } });
    const [own, other] = [makeCertificate({ issuer: authority }), makeCertificate({ commonName: "another authority" })];
    const kept = new Agent({ connect: { ca: server.cert, cert: own.cert, key: own.key }, connections: 1 });
    onTestFinished(() => kept.close());
    const ask = async (): Promise<number> => {
      const { statusCode, body } = await request(`${daemon.origin}/v1/version`, { dispatcher: kept });
      await body.dump();
      return statusCode;
    };
    expect(await ask()).toBe(200);
    await writeFile(tls.clientCaFile, other.cert);
    await daemon.reload();
    expect(await ask()).toBe(401);
    expect(await get(daemon, server.cert, makeCertificate({ issuer: other }))).toBe(200);
  });

  it("asks for certificates, or does not, until it starts anew, and never takes the system's authorities for its own", async () => {
    const { authority, server, tls } = await certificates();
    const daemon = await startTestDaemon({ config: { listen: { noAuth: false, tls } } });
    daemon.change({ listen: { tls: { ...tls, clientCaFile: null } } });
    await daemon.reload();
    expect(daemon.log.at(-1)).toMatchObject({ keys: ["listen.tls.clientCaFile"] });
    expect(await get(daemon, server.cert, makeCertificate({ issuer: authority }))).toBe(200);
    // Whom the system trusts is another list; what Node has of it stands in for it here.
    const trusted = getCACertificates("default");
    onTestFinished(() => setDefaultCACertificates(trusted));
    const publicAuthority = makeCertificate({ commonName: "public authority" });
    setDefaultCACertificates([...trusted, publicAuthority.cert]);
    const open = await startTestDaemon({ config: { listen: { noAuth: true, tls: { ...tls, clientCaFile: null } } } });
    expect(await get(open, server.cert, makeCertificate({ issuer: publicAuthority }))).toBe(200);
    expect(open.log.at(-1)).toMatchObject({ who: expect.stringContaining("127.0.0.1") });
    await daemon.reload();
    expect(await get(daemon, server.cert, makeCertificate({ issuer: publicAuthority }))).toBe(401);
  });

  it("refuses to start with a key that is another certificate's", async () => {
    const { tls } = await certificates();
    await writeFile(tls.keyFile, makeCertificate().key);
    const failure = startTestDaemon({ config: { listen: { noAuth: false, tls } } });
    await expect(failure).rejects.toThrow("cannot be used for TLS");
  });
});
