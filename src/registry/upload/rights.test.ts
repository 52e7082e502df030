/** Tokens for pushing, and where what is pushed goes to. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { at, describeBlob, noise, opening, testClient } from "../../../test/kit/http/test-client.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";
import { startTokenServer } from "../../../test/kit/registry/token-server.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";

const BLOB = noise(300_000);
const DESCRIPTOR = describeBlob(BLOB);
const credentials = { username: "ada", password: "secret-of-ada" };
const both = ["pull", "push"];
const access = [
  { name: "team/*", actions: both },
  { name: "public/*", actions: ["pull"] },
];

async function guarded(options: { now?: () => number } = {}) {
  const tokens = await startTokenServer({ users: { ada: { password: "secret-of-ada", access } }, ...options });
  const registry = await startRegistry({ auth: { kind: "token", authority: tokens } });
  const close = async (): Promise<void> => {
    await registry.close();
    await tokens.close();
  };
  return { registry, tokens, [Symbol.asyncDispose]: close };
}

describe("tokens", () => {
  it("are asked for once, for pulling and pushing", async () => {
    await using one = await guarded();
    await using client = testClient({ credentials });
    const sink = client.uploads(at(one.registry.host));
    await sink.putBlob(DESCRIPTOR, opening(BLOB), { chunkSize: 100_000 });
    expect(one.tokens.grants.map(({ scopes }) => scopes)).toEqual([["repository:team/app:pull,push"]]);
    expect(one.registry.requests.filter(({ status }) => status === 401)).toHaveLength(1);
  });

  it("are widened where the client could only read so far", async () => {
    await using one = await guarded();
    await using client = testClient({ credentials });
    await client.listTags(at(one.registry.host)).catch(() => undefined);
    await client.uploads(at(one.registry.host)).putBlob(DESCRIPTOR, opening(BLOB));
    expect(one.tokens.grants.map(({ scopes }) => scopes)).toEqual([
      ["repository:team/app:pull"],
      ["repository:team/app:pull,push"],
    ]);
  });

  it("that are refused in the midst of an upload are renewed, and it goes on", async () => {
    await using one = await guarded();
    await using client = testClient({ credentials });
    let read = 0;
    const revoking = async function* (start: number): AsyncGenerator<Uint8Array> {
      for await (const chunk of opening(BLOB, 50_000)(start)) {
        read++;
        if (read === 3 || read === 8) one.tokens.revokeTokens();
        yield chunk;
      }
    };
    const sink = client.uploads(at(one.registry.host));
    expect(await sink.putBlob(DESCRIPTOR, revoking, { chunkSize: 50_000 })).toBe("sent");
    expect(one.registry.requests.filter(({ status }) => status === 401)).toHaveLength(3);
    expect(await sink.has(DESCRIPTOR)).toBe(true);
  });

  it("that do not allow it say so, with a hint for those who want to write", async () => {
    await using one = await guarded();
    await using client = testClient({ credentials });
    const put = client.uploads(at(one.registry.host, "public/app")).putBlob(DESCRIPTOR, opening(BLOB));
    await expect(put).rejects.toMatchObject({ code: "DENIED", exitCode: 4 });
    await using nobody = testClient();
    const anonymous = nobody.uploads(at(one.registry.host)).putBlob(DESCRIPTOR, opening(BLOB));
    await expect(anonymous).rejects.toMatchObject({ code: "UNAUTHORIZED", hint: expect.stringContaining("write") });
  });

  it("for mounts name both repositories, and nobody keeps the other one in mind", async () => {
    await using one = await guarded();
    await using client = testClient({ credentials });
    await client.uploads(at(one.registry.host, "team/base")).putBlob(DESCRIPTOR, opening(BLOB));
    const sink = client.uploads(at(one.registry.host));
    expect(await sink.mount(DESCRIPTOR, "team/base")).toBe(true);
    expect(one.tokens.grants.at(-1)?.scopes).toEqual(["repository:team/app:pull,push repository:team/base:pull"]);
    await sink.putBlob(describeBlob(noise(5)), opening(noise(5)));
    expect(one.tokens.grants.at(-1)?.scopes).toEqual(["repository:team/app:pull,push"]);
    // What may not be read is not mounted, and sent.
    expect(await sink.mount(DESCRIPTOR, "secret/base")).toBe(false);
    expect(await sink.putBlob(DESCRIPTOR, opening(BLOB))).toBe("sent");
  });
});

describe("what is pushed", () => {
  async function hosts(host: string, text: string) {
    const dir = await tempDir();
    await mkdir(join(dir.path, host));
    await writeFile(join(dir.path, host, "hosts.toml"), text);
    return dir;
  }

  it("goes to the registry itself, not to mirrors, which are still read", async () => {
    await using registry = await startRegistry();
    await using mirror = await startRegistry();
    for (const capabilities of ["", 'capabilities = ["pull", "resolve"]']) {
      const text = `server = "${registry.url}"\n[host."${mirror.url}"]\n${capabilities}\n`;
      await using dir = await hosts(registry.host, text);
      await using client = testClient({ hostsDir: dir.path });
      await client.uploads(at(registry.host)).putBlob(DESCRIPTOR, opening(BLOB));
      expect(mirror.requests).toEqual([]);
      await client.fetchBlobBytes(at(registry.host), DESCRIPTOR);
      expect(mirror.requests.length).toBeGreaterThan(0);
      mirror.clearRequests();
    }
  });

  it("goes to a host that hosts.toml names for pushing, and nowhere when there is none", async () => {
    await using registry = await startRegistry();
    await using front = await startRegistry();
    const named = `server = "${registry.url}"\n[host."${front.url}"]\ncapabilities = ["push"]\n`;
    await using dir = await hosts(registry.host, named);
    await using client = testClient({ hostsDir: dir.path });
    await client.uploads(at(registry.host)).putBlob(DESCRIPTOR, opening(BLOB));
    expect(registry.requests).toEqual([]);
    expect(front.requests.at(-1)).toMatchObject({ method: "PUT", status: 201 });
    const readOnly = `server = "${registry.url}"\ncapabilities = ["pull", "resolve"]\n`;
    await using other = await hosts(registry.host, readOnly);
    await using reader = testClient({ hostsDir: other.path });
    await expect(reader.uploads(at(registry.host)).has(DESCRIPTOR)).rejects.toMatchObject({
      code: "CONFIGURATION_INVALID",
      hint: expect.stringContaining("push"),
    });
  });

  it("goes to the location of registries.conf, with its name, and never to its mirrors", async () => {
    await using registry = await startRegistry();
    await using mirror = await startRegistry();
    await using dir = await tempDir();
    const conf = join(dir.path, "registries.conf");
    await writeFile(
      conf,
      `[[registry]]\nprefix = "images.example/team"\nlocation = "${registry.host}/moved"\n` +
        `[[registry.mirror]]\nlocation = "${mirror.host}/copy"\n[[registry]]\nprefix = "no.example"\nblocked = true\n`,
    );
    await using client = testClient({ registriesConf: conf, plainHttp: false });
    const sink = client.uploads(at("images.example"));
    await sink.putBlob(DESCRIPTOR, opening(BLOB));
    expect(mirror.requests).toEqual([]);
    expect(registry.requests.at(-1)?.path).toMatch(/^\/v2\/moved\/app\/blobs\/uploads\//);
    await client.uploads(at("images.example", "team/other:v1")).mount(DESCRIPTOR, "team/app");
    expect(registry.requests.at(-1)?.url).toContain(`from=${encodeURIComponent("moved/app")}`);
    await expect(client.uploads(at("no.example")).has(DESCRIPTOR)).rejects.toMatchObject({ code: "REGISTRY_BLOCKED" });
  });
});
