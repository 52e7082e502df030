import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { connect, createServer as createTcpServer } from "node:net";
import { createServer, request as httpRequest } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scriptedServer, type Script } from "../../../test/kit/http/scripted-server.ts";
import { at, NO_HOME, testClient } from "../../../test/kit/http/test-client.ts";
import { listen } from "../../../test/kit/net/listen.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { makeCertificate } from "../../../test/kit/tls/certificate.ts";
import { fakeClock } from "../../../test/kit/http/fake-clock.ts";

const missing: Script = (_request, response) => void response.writeHead(404).end();
const FOUND = { code: "MANIFEST_UNKNOWN" };

async function tlsRegistry(options = {}, script = missing) {
  const certificate = makeCertificate(options);
  const dir = await tempDir();
  const caFile = join(dir.path, "ca.pem");
  await writeFile(caFile, certificate.cert);
  const server = await scriptedServer(script, certificate);
  return {
    host: server.host,
    server,
    caFile,
    dir: dir.path,
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe("a certificate", () => {
  it("that nobody vouches for is REGISTRY_TLS at once, without a retry", async () => {
    await using registry = await tlsRegistry();
    const clock = fakeClock();
    await using client = testClient({ plainHttp: false, clock });
    const resolving = client.resolve(at(registry.host));
    await expect(resolving).rejects.toMatchObject({ code: "REGISTRY_TLS", hint: expect.stringContaining("--ca-file") });
    expect(clock.slept).toEqual([]);
    expect(registry.server.seen).toHaveLength(0);
  });

  it("of an authority in --ca-file is trusted, besides the system's", async () => {
    await using registry = await tlsRegistry();
    await using client = testClient({ plainHttp: false, caFile: registry.caFile });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject(FOUND);
  });

  it("for another name is REGISTRY_TLS, also with its authority", async () => {
    await using registry = await tlsRegistry({ names: ["registry.example.com"] });
    await using client = testClient({ plainHttp: false, caFile: registry.caFile });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "REGISTRY_TLS" });
  });

  it("that has expired says so", async () => {
    const day = 24 * 3600_000;
    await using registry = await tlsRegistry({
      notBefore: new Date(Date.now() - 2 * day),
      notAfter: new Date(Date.now() - day),
    });
    await using client = testClient({ plainHttp: false, caFile: registry.caFile });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({
      code: "REGISTRY_TLS",
      hint: expect.stringContaining("clock"),
    });
  });

  it("does not matter with --insecure", async () => {
    await using registry = await tlsRegistry();
    await using client = testClient({ plainHttp: false, insecure: true });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject(FOUND);
  });

  it("in a file that cannot be used is CONFIGURATION_INVALID", async () => {
    await using dir = await tempDir();
    const certFile = join(dir.path, "not.pem");
    await writeFile(certFile, "no certificate");
    await using broken = testClient({ plainHttp: false, certFile, keyFile: certFile });
    await expect(broken.resolve(at("127.0.0.1:1"))).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
    await using absent = testClient({ plainHttp: false, caFile: "/nonexistent/ca.pem" });
    await expect(absent.resolve(at("127.0.0.1:1"))).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
    await using blank = testClient({ plainHttp: false, caFile: certFile });
    await expect(blank.resolve(at("127.0.0.1:1"))).rejects.toMatchObject({
      code: "CONFIGURATION_INVALID",
      message: `${certFile} holds no certificate in PEM`,
    });
    await using half = testClient({ certFile });
    await expect(half.resolve(at("127.0.0.1:1"))).rejects.toMatchObject({ code: "USAGE" });
  });
});

describe.skipIf(findPeer("openssl") === undefined)("openssl's certificates", () => {
  it("serve as authority, as the registry's and as the client's", async () => {
    await using dir = await tempDir();
    const openssl = (...args: string[]): void => {
      execFileSync("openssl", args, { cwd: dir.path, stdio: "pipe" });
    };
    const path = (name: string): string => join(dir.path, name);
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-subj",
      "/CN=ca",
      "-days",
      "2",
    );
    await writeFile(path("san"), "subjectAltName=IP:127.0.0.1\n");
    for (const name of ["server", "client"]) {
      openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.csr`,
        "-subj",
        `/CN=${name}`,
      );
      const sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san"];
      openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...sign);
    }
    const read = (name: string): string => readFileSync(path(name), "utf8");
    const tls = { cert: read("server.pem"), key: read("server.key"), ca: read("ca.pem"), requestCert: true };
    await using registry = await scriptedServer(missing, { ...tls, rejectUnauthorized: true });
    const caFile = path("ca.pem");
    await using named = testClient({
      plainHttp: false,
      caFile,
      certFile: path("client.pem"),
      keyFile: path("client.key"),
    });
    await expect(named.resolve(at(registry.host))).rejects.toMatchObject(FOUND);
    // In TLS 1.2 the refusal is part of the handshake; in 1.3 it comes after it, and Node shows only a closed connection.
    const args = [
      "-cert",
      "server.pem",
      "-key",
      "server.key",
      "-CAfile",
      "ca.pem",
      "-Verify",
      "1",
      "-verify_return_error",
      "-tls1_2",
    ];
    const server = spawn("openssl", ["s_server", "-accept", "127.0.0.1:0", ...args], { cwd: dir.path });
    try {
      const host = await new Promise<string>((resolve, reject) => {
        let output = "";
        server.on("error", reject).on("exit", () => reject(new Error(output)));
        server.stdout.on("data", (chunk: Buffer) => {
          output += chunk.toString();
          const listening = /ACCEPT (\S+:\d+)/.exec(output)?.[1];
          if (listening !== undefined) resolve(listening);
        });
      });
      await using nameless = testClient({ plainHttp: false, caFile });
      await expect(nameless.resolve(at(host))).rejects.toMatchObject({
        code: "REGISTRY_TLS",
        hint: expect.stringContaining("--cert-file"),
      });
    } finally {
      server.kill("SIGKILL");
    }
  });
});

describe("plain HTTP", () => {
  it("is found out on loopback without a flag, and remembered", async () => {
    await using registry = await scriptedServer(missing);
    await using client = testClient({ plainHttp: false });
    for (let again = 0; again < 2; again++) {
      await expect(client.resolve(at(registry.host))).rejects.toMatchObject(FOUND);
    }
    expect(registry.seen).toHaveLength(2);
  });

  it("is found out on loopback when the server just hangs up on TLS", async () => {
    const server = createTcpServer((socket) => {
      socket.once("data", (data) => {
        if (data[0] === 0x16) socket.destroy();
        else socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
      });
    });
    const listening = await listen(server);
    await using client = testClient({ plainHttp: false });
    await expect(client.resolve(at(listening.host))).rejects.toMatchObject(FOUND);
    await listening.close();
  });

  it("is not tried for a registry whose certificate is bad, so that credentials are not given away", async () => {
    await using registry = await tlsRegistry();
    await using client = testClient({ plainHttp: false, credentials: { username: "ada", password: "secret" } });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "REGISTRY_TLS" });
  });
});

async function proxy() {
  const seen: { line: string; authorization: string | undefined }[] = [];
  let target = "";
  const server = createServer((request, response) => {
    seen.push({ line: `${request.method} ${request.url}`, authorization: request.headers["proxy-authorization"] });
    const path = new URL(request.url ?? "").pathname;
    const onward = httpRequest(`http://${target}${path}`, { method: request.method ?? "GET" }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.end();
  });
  server.on("connect", (request, socket) => {
    seen.push({ line: `CONNECT ${request.url}`, authorization: request.headers["proxy-authorization"] });
    if (request.headers["proxy-authorization"] === undefined) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const [host, port] = target.split(":");
    const onward = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    onward.on("error", () => socket.destroy());
    socket.on("error", () => onward.destroy());
  });
  const listening = await listen(server);
  return {
    host: listening.host,
    seen,
    leadTo: (host: string) => {
      target = host;
    },
    [Symbol.asyncDispose]: () => listening.close(),
  };
}

describe("a forward proxy", () => {
  it("tunnels https with its credentials, and the registry's certificate is still checked", async () => {
    await using gate = await proxy();
    await using registry = await tlsRegistry({ names: ["registry.example.com"] });
    gate.leadTo(registry.host);
    const env = { ...NO_HOME, HTTPS_PROXY: `http://user:p%40ss@${gate.host}` };
    await using client = testClient({ plainHttp: false, caFile: registry.caFile, env });
    await expect(client.resolve(at("registry.example.com"))).rejects.toMatchObject(FOUND);
    const authorization = `Basic ${Buffer.from("user:p@ss").toString("base64")}`;
    expect(gate.seen).toEqual([{ line: "CONNECT registry.example.com:443", authorization }]);
    await using distrustful = testClient({ plainHttp: false, env });
    await expect(distrustful.resolve(at("registry.example.com"))).rejects.toMatchObject({ code: "REGISTRY_TLS" });
  });

  it("forwards plain http", async () => {
    await using gate = await proxy();
    await using registry = await scriptedServer(missing);
    gate.leadTo(registry.host);
    await using client = testClient({ env: { ...NO_HOME, http_proxy: gate.host } });
    await expect(client.resolve(at("registry.example.com:5000"))).rejects.toMatchObject(FOUND);
    expect(gate.seen[0]?.line).toBe("HEAD http://registry.example.com:5000/v2/team/app/manifests/v1");
  });

  it("that refuses is named without its password", async () => {
    await using gate = await proxy();
    const env = { ...NO_HOME, HTTPS_PROXY: `http://${gate.host}` };
    await using client = testClient({ plainHttp: false, env });
    await expect(client.resolve(at("registry.example.com"))).rejects.toMatchObject({
      code: "REGISTRY_UNREACHABLE",
      message: expect.stringContaining("407"),
      hint: expect.stringContaining("HTTPS_PROXY"),
    });
    expect(gate.seen).toHaveLength(1);
  });

  it("is not used for loopback", async () => {
    await using registry = await scriptedServer(missing);
    await using client = testClient({ env: { ...NO_HOME, HTTP_PROXY: "http://127.0.0.1:1" } });
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject(FOUND);
  });
});
