/** Who may have what through a mirror, and whom a mirror asks. */
import { createServer, type Server } from "node:http";
import { describe, expect, it } from "vitest";
import { startMirror } from "../../../test/kit/daemon/start-mirror.ts";
import { startFaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import { noise, testClient } from "../../../test/kit/http/test-client.ts";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { listen } from "../../../test/kit/net/listen.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { startTokenServer } from "../../../test/kit/registry/token-server.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { isOwnAddress, isPublicAddress } from "./addresses.ts";

const image = await buildImage({ layers: [[file("secret", "1")]] });
const other = await buildImage({ layers: [[file("other", "2")]] });
const [layer] = image.layers;
const blob = layer!.descriptor.digest;
const alice = { username: "alice", password: "pw" };
const basic = { authorization: `Basic ${Buffer.from("alice:pw").toString("base64")}` };
const plain = { credentials: true, passCredentials: false };

async function serve(server: Server): Promise<{ host: string; close: () => Promise<void> }> {
  const listening = await listen(server);
  return { host: listening.host, close: () => listening.close() };
}

/** One in which only alice may read. */
async function privateRegistry(): Promise<KitRegistry> {
  const registry = await startRegistry({ auth: { kind: "basic", users: { alice: "pw" } } });
  await pushImage(registry.host, "team/app", "v1", image, { credentials: alice });
  return registry;
}

async function publicRegistry(): Promise<KitRegistry> {
  const registry = await startRegistry();
  await pushImage(registry.host, "any/thing", "v1", other);
  return registry;
}

describe("what the store has", () => {
  it("is given only through repositories that have it, though the bytes are here", async () => {
    await using secret = await privateRegistry();
    await using open = await publicRegistry();
    const mirror = await startMirror({
      upstreams: [secret.host, open.host],
      registry: {
        accounts: { find: async ({ host }) => (host === secret.host ? { kind: "password", ...alice } : undefined) },
      },
    });
    const { call } = mirror;
    expect((await call("GET", `/v2/${secret.host}/team/app/manifests/v1`)).status).toBe(200);
    expect((await call("GET", `/v2/${secret.host}/team/app/blobs/${blob}`)).status).toBe(200);
    await mirror.mirror.settled();
    expect((await call("GET", `/v2/${open.host}/any/thing/manifests/v1`)).status).toBe(200);
    for (const path of [`blobs/${blob}`, `manifests/${image.digest}`, `blobs/${image.digest}`]) {
      for (const method of ["GET", "HEAD"] as const) {
        expect([path, (await call(method, `/v2/${open.host}/any/thing/${path}`)).status]).toEqual([path, 404]);
      }
    }
  });

  it("is not given by a manifest's word: another registry's image may list whatever it likes", async () => {
    await using secret = await privateRegistry();
    await using open = await startRegistry({ quirks: { credulous: true } });
    const liar = await buildImage({ layers: [], lies: { extraLayers: [layer!.descriptor] } });
    await pushImage(open.host, "any/thing", "v1", liar);
    const mirror = await startMirror({
      upstreams: [secret.host, open.host],
      registry: {
        accounts: { find: async ({ host }) => (host === secret.host ? { kind: "password", ...alice } : undefined) },
      },
    });
    await mirror.call("GET", `/v2/${secret.host}/team/app/blobs/${blob}`);
    await mirror.mirror.settled();
    expect((await mirror.call("GET", `/v2/${open.host}/any/thing/manifests/v1`)).status).toBe(200);
    expect((await mirror.call("GET", `/v2/${open.host}/any/thing/blobs/${blob}`)).status).toBe(404);
  });

  it("is another repository's too, without coming again, once its registry has said so", async () => {
    await using one = await publicRegistry();
    await using two = await publicRegistry();
    const mirror = await startMirror({ upstreams: [one.host, two.host] });
    const [shared] = other.layers;
    const path = (host: string) => `/v2/${host}/any/thing/blobs/${shared!.descriptor.digest}`;
    expect((await mirror.call("GET", path(one.host))).status).toBe(200);
    await mirror.mirror.settled();
    two.clearRequests();
    for (const _ of [1, 2]) expect((await mirror.call("GET", path(two.host))).bytes.equals(shared!.bytes)).toBe(true);
    expect(two.requests.map(({ method }) => method)).toEqual(["HEAD"]);
  });
});

describe("a registry that says of everything that it has it", () => {
  it("gets nothing that it does not bring itself, where it is one of all", async () => {
    await using secret = await startRegistry();
    const large = await buildImage({ layers: [noise(3 << 20)], compression: "none" });
    await pushImage(secret.host, "team/app", "v1", large);
    const [content] = large.layers;
    const digest = content!.descriptor.digest;
    const asked: string[] = [];
    const liar = createServer(({ method, url }, response) => {
      asked.push(`${method} ${url}`);
      const [body, mediaType] =
        url?.includes("manifests") === true ? [large.bytes, large.descriptor.mediaType] : [content!.bytes, "x/y"];
      const headers = {
        "content-type": mediaType,
        "content-length": body.length,
        "docker-content-digest": large.digest,
      };
      if (method === "HEAD") response.writeHead(200, headers).end();
      else response.writeHead(404).end();
    });
    const { host, close } = await serve(liar);
    // As with *, but that this machine may be asked.
    const mirror = await startMirror({
      upstreams: [secret.host, { ...plain, host: "*" }],
      openRegistry: (more) => testClient({ ...more, allowAddress: () => true }),
    });
    const at = `/v2/${host}/any/thing`;
    const refused = async (): Promise<void> => {
      for (const path of [`blobs/${digest}`, `manifests/${large.digest}`, `manifests/v1`]) {
        expect([path, (await mirror.call("GET", `${at}/${path}`)).status]).toEqual([path, 404]);
      }
      const part = await mirror.call("GET", `${at}/blobs/${digest}`, { range: "bytes=5-9" });
      expect(part.status).toBe(404);
    };
    // While another brings it, from what an earlier try has left, and when it is here.
    const place = await mirror.store.content.ingest(content!.descriptor);
    if (!("commit" in place)) throw new Error("it is there");
    await place.write(0, content!.bytes.subarray(0, 2 << 20));
    await place[Symbol.asyncDispose]();
    await refused();
    const coming = mirror.call("GET", `/v2/${secret.host}/team/app/blobs/${digest}`);
    await refused();
    expect((await coming).bytes.equals(content!.bytes)).toBe(true);
    await mirror.call("GET", `/v2/${secret.host}/team/app/manifests/v1`);
    await mirror.mirror.settled();
    await refused();
    expect(asked.some((line) => line.startsWith("GET"))).toBe(true);
    await close();
  });

  it("may have what it brings, and then need not bring it again", async () => {
    await using one = await publicRegistry();
    await using two = await publicRegistry();
    const mirror = await startMirror({
      upstreams: [{ ...plain, host: "*" }],
      openRegistry: (more) => testClient({ ...more, allowAddress: () => true }),
    });
    const [shared] = other.layers;
    const path = (host: string) => `/v2/${host}/any/thing/blobs/${shared!.descriptor.digest}`;
    expect((await mirror.call("GET", path(one.host))).status).toBe(200);
    await mirror.mirror.settled();
    two.clearRequests();
    for (const _ of [1, 2]) expect((await mirror.call("GET", path(two.host))).bytes.equals(shared!.bytes)).toBe(true);
    expect(two.requests.filter(({ method }) => method === "GET")).toHaveLength(1);
    await pushImage(two.host, "any/other", "v1", other);
    two.clearRequests();
    expect((await mirror.call("GET", path(two.host).replace("thing", "other"))).status).toBe(200);
    expect(two.requests.map(({ method }) => method)).toEqual(["HEAD"]);
  });
});

describe("accounts", () => {
  it("of this machine serve whoever may ask the daemon, and clients see nothing of them", async () => {
    await using secret = await privateRegistry();
    const accounts = { find: async () => ({ kind: "password", ...alice }) as const };
    const mirror = await startMirror({ upstreams: [secret.host], registry: { accounts } });
    const answer = await mirror.call("GET", `/v2/${secret.host}/team/app/manifests/v1`);
    expect(answer.status).toBe(200);
    expect(JSON.stringify(answer.headers)).not.toMatch(/basic|bearer/i);
  });

  it("of this machine are not used where they are not to be, and a missing one is no 401", async () => {
    await using secret = await privateRegistry();
    const mirror = await startMirror({
      upstreams: [{ ...plain, host: secret.host, credentials: false }],
      registry: { credentials: alice },
    });
    const answer = await mirror.call("GET", `/v2/${secret.host}/team/app/manifests/v1`, basic);
    expect([answer.status, answer.headers["www-authenticate"]]).toEqual([403, undefined]);
    const sent = secret.requests.filter(({ method }) => method === "GET" || method === "HEAD");
    const own = sent.filter(({ headers }) => headers.via !== undefined);
    expect(own.length).toBeGreaterThan(0);
    expect(own.map(({ headers }) => headers.authorization)).toEqual(own.map(() => undefined));
  });

  it("that are missing for a blob alone are no 401 either", async () => {
    await using open = await publicRegistry();
    await using proxy = await startFaultProxy({ target: open.host });
    const mirror = await startMirror({ upstreams: [proxy.host] });
    expect((await mirror.call("GET", `/v2/${proxy.host}/any/thing/manifests/v1`)).status).toBe(200);
    proxy.setRules([{ path: /blobs/, fault: { kind: "status", status: 401 } }]);
    const [content] = other.layers;
    const answer = await mirror.call("GET", `/v2/${proxy.host}/any/thing/blobs/${content!.descriptor.digest}`);
    expect(answer.status).toBe(403);
  });

  it("that clients bring go to the registry where that is wanted, and what they get is theirs alone", async () => {
    await using secret = await privateRegistry();
    const rule = { host: secret.host, credentials: false, passCredentials: true };
    const mirror = await startMirror({ upstreams: [rule] });
    const [manifest, content] = [`manifests/v1`, `blobs/${blob}`].map((path) => `/v2/${secret.host}/team/app/${path}`);
    const asked = await mirror.call("GET", manifest!);
    expect([asked.status, asked.headers["www-authenticate"]]).toEqual([401, `Basic realm="${secret.host}"`]);
    expect((await mirror.call("GET", manifest!, basic)).bytes.equals(image.bytes)).toBe(true);
    expect((await mirror.call("GET", content!, basic)).bytes.equals(layer!.bytes)).toBe(true);
    await mirror.mirror.settled();
    const wrong = { authorization: `Basic ${Buffer.from("alice:wrong").toString("base64")}` };
    for (const headers of [{}, wrong]) {
      expect((await mirror.call("GET", manifest!, headers)).status).toBe(401);
      expect((await mirror.call("GET", content!, headers)).status).toBe(401);
      const byDigest = await mirror.call("GET", `/v2/${secret.host}/team/app/manifests/${image.digest}`, headers);
      expect(byDigest.status).toBe(401);
    }
  });

  it("that clients bring log in at the registry's token service", async () => {
    const users = { alice: { password: "pw", access: [{ name: "*", actions: ["pull", "push"] }] } };
    await using authority = await startTokenServer({ users });
    await using secret = await startRegistry({ auth: { kind: "token", authority } });
    const mirror = await startMirror({ upstreams: [{ host: secret.host, credentials: false, passCredentials: true }] });
    await expect(pushImage(secret.host, "team/app", "v1", image)).rejects.toThrow("401");
    const answer = await mirror.call("GET", `/v2/${secret.host}/team/app/tags/list`, basic);
    expect(answer.status).toBe(404);
    const junk = await mirror.call("GET", `/v2/${secret.host}/team/app/tags/list`, { authorization: "Digest x" });
    expect(junk.status).toBe(401);
  });
});

describe("registries that are asked", () => {
  it("are those that are named", async () => {
    await using open = await publicRegistry();
    const { call } = await startMirror({ upstreams: ["registry.example"] });
    open.clearRequests();
    const byNamespace = await call("GET", `/v2/any/thing/manifests/v1?ns=${open.host}`);
    expect([byNamespace.status, byNamespace.bytes.toString()]).toEqual([403, expect.stringContaining(open.host)]);
    expect((await call("GET", `/v2/${open.host}/any/thing/manifests/v1`)).status).toBe(404);
    for (const odd of ["a", "a/b", "http://x.y", "user@x.y", "x.y:99999", "[::1", "x.y%2fz", "../x.y"]) {
      const answer = await call("GET", `/v2/any/thing/manifests/v1?ns=${encodeURIComponent(odd)}`);
      expect([odd, [400, 404].includes(answer.status)]).toEqual([odd, true]);
    }
    expect(open.requests).toEqual([]);
  });

  it("are all of the internet with *, and nothing behind this machine unless it is named too", async () => {
    await using open = await publicRegistry();
    const all = { ...plain, host: "*" };
    const guarded = await startMirror({ upstreams: [all] });
    open.clearRequests();
    for (const host of [open.host, `localhost:${open.port}`]) {
      const answer = await guarded.call("GET", `/v2/any/thing/manifests/v1?ns=${host}`);
      expect([host, answer.status]).toEqual([host, 403]);
    }
    expect(open.requests).toEqual([]);
    const named = await startMirror({ upstreams: [all, { ...plain, host: open.host }] });
    expect((await named.call("GET", `/v2/any/thing/manifests/v1?ns=${open.host}`)).status).toBe(200);
  });

  it("are never the daemon itself, by its address or by way of another", async () => {
    const one = await startMirror({ upstreams: [{ ...plain, host: "*" }] });
    for (const host of [
      one.host,
      one.host.replace("127.0.0.1", "localhost"),
      one.host.replace("127.0.0.1", "127.0.0.9"),
    ]) {
      const named = await one.call("GET", `/v2/${host}/any/thing/manifests/v1`);
      expect([host, named.status]).toEqual([host, 508]);
    }
    const two = await startMirror({ upstreams: [one.host] });
    one.change({ upstreams: [{ ...plain, host: two.host }], defaultUpstream: two.host });
    two.change({ defaultUpstream: one.host });
    const began = Date.now();
    const answer = await two.call("GET", `/v2/any/thing/manifests/v1`);
    expect(answer.status).toBeGreaterThanOrEqual(502);
    expect(Date.now() - began).toBeLessThan(20_000);
  });

  it("are not those of addresses that only this machine or its networks have", () => {
    const inner =
      "127.0.0.1 10.1.2.3 172.31.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 ::1 :: fe80::1 fd00::1 ff02::1 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1:: nonsense";
    for (const address of inner.split(" ")) expect([address, isPublicAddress(address)]).toEqual([address, false]);
    for (const address of ["1.1.1.1", "172.32.0.1", "2606:4700::1111"]) expect(isPublicAddress(address)).toBe(true);
  });

  it("are this daemon where the port is one that it has", async () => {
    expect(await isOwnAddress("localhost:5000", [5000])).toBe(true);
    expect(await isOwnAddress("0.0.0.0:5000", [5000])).toBe(true);
    expect(await isOwnAddress("[::1]:5000", [5000])).toBe(true);
    expect(await isOwnAddress("127.0.0.1", [443])).toBe(true);
    expect(await isOwnAddress("localhost:5001", [5000])).toBe(false);
    expect(await isOwnAddress("192.0.2.1:5000", [5000])).toBe(false);
    expect(await isOwnAddress("nowhere.invalid:5000", [5000])).toBe(false);
  });
});
