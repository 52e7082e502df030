/** The ways to a registry: private authorities, client certificates, proxies, mirrors, helper programs. */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished, describe, expect, it } from "vitest";
import { pushImage } from "../kit/images/push-image.ts";
import { freePort } from "../kit/peers/free-port.ts";
import { startRegistry, type KitRegistry, type RegistryOptions } from "../kit/registry/registry.ts";
import { makeCertificate } from "../kit/tls/certificate.ts";
import { startForwardProxy } from "./forward-proxy.ts";
import { newMachine, type Machine } from "./machine.ts";
import { sampleImage } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

interface Scene {
  readonly machine: Machine;
  /** Writes a file of the machine, and gives its path. */
  readonly put: (name: string, text: string) => Promise<string>;
}

async function scene(): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  return {
    machine,
    async put(name, text) {
      const path = join(machine.path, name);
      await mkdir(join(path, ".."), { recursive: true });
      await writeFile(path, text);
      return path;
    },
  };
}

/** A registry that holds app:1, on terms under which nothing could be pushed to it. */
async function holding(machine: Machine, options: RegistryOptions): Promise<KitRegistry> {
  const dir = join(machine.path, `registry-${Math.random()}`);
  await using open = await startRegistry({ dir });
  await pushImage(open.host, "app", "1", await sampleImage());
  const registry = await startRegistry({ dir, ...options });
  onTestFinished(() => registry.close());
  return registry;
}

describe("TLS", () => {
  it("trusts the authority of --ca-file, and anybody with --insecure", async () => {
    const { machine, put } = await scene();
    const authority = makeCertificate({ commonName: "a private authority" });
    const registry = await holding(machine, { tls: makeCertificate({ issuer: authority }) });
    const image = `${registry.host}/app:1`;
    const ca = await put("ca.pem", authority.cert);
    expect(await machine.fails("pull", image)).toMatchObject({ code: "REGISTRY_TLS" });
    expect(await machine.pull("--ca-file", ca, image)).toMatchObject({ status: "pulled" });
    expect(await machine.pull("--insecure", image)).toMatchObject({ status: "up-to-date" });
    const other = await put("other.pem", makeCertificate({ commonName: "another" }).cert);
    expect(await machine.fails("pull", "--ca-file", other, image)).toMatchObject({ code: "REGISTRY_TLS" });
    const none = await machine.fails("pull", "--ca-file", join(machine.path, "nothing.pem"), image);
    expect(none.message).toContain("nothing.pem");
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("shows the client's certificate where one is asked for", async () => {
    const { machine, put } = await scene();
    const authority = makeCertificate({ commonName: "a private authority" });
    const tls = { ...makeCertificate({ issuer: authority }), clientCa: authority.cert };
    const registry = await holding(machine, { tls });
    const image = `${registry.host}/app:1`;
    const client = makeCertificate({ issuer: authority, commonName: "a client" });
    const ca = ["--ca-file", await put("ca.pem", authority.cert)];
    const pair = ["--cert-file", await put("client.pem", client.cert), "--key-file", await put("key.pem", client.key)];
    const without = await machine.fails("pull", "--retries", "0", ...ca, image);
    // Node's server just hangs up; others send an alert, and then the hint names --cert-file.
    expect(without).toMatchObject({ code: expect.stringMatching(/^REGISTRY_(TLS|UNREACHABLE)$/), exit: 1 });
    expect(await machine.pull(...ca, ...pair, image)).toMatchObject({ status: "pulled" });
    expect(await machine.fails("pull", ...pair.slice(0, 2), image)).toMatchObject({ code: "USAGE", exit: 2 });
  });
});

describe("a proxy from the environment", () => {
  const HOST = "registry.example:5443";
  const NAMED = { names: ["registry.example"] };

  it("is how other hosts are reached, with its password, and not how loopback is", async () => {
    const { machine, put } = await scene();
    const certificate = makeCertificate(NAMED);
    const secure = await holding(machine, { tls: certificate });
    const near = await holding(machine, {});
    const ca = await put("ca.pem", certificate.cert);
    await using proxy = await startForwardProxy({ account: "me:s3cret!", names: { [HOST]: secure.host } });
    const env = { HTTPS_PROXY: `http://me:s3cret!@${proxy.host}`, HTTP_PROXY: `http://me:s3cret!@${proxy.host}` };
    const far = await machine.exec(["pull", "--json", "--ca-file", ca, `${HOST}/app:1`], env);
    expect(far.json).toMatchObject({ status: "pulled", reference: `${HOST}/app:1` });
    expect(new Set(proxy.targets)).toEqual(new Set([HOST]));
    const before = proxy.targets.length;
    expect((await machine.exec(["pull", "--json", `${near.host}/app:1`], env)).code).toBe(0);
    expect(proxy.targets).toHaveLength(before);
    const wrong = { HTTPS_PROXY: `http://me:wr0ng!@${proxy.host}` };
    const refused = await machine.exec(["pull", "--debug", "--ca-file", ca, `${HOST}/app:1`], wrong);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/varve: REGISTRY_UNREACHABLE: [^\n]*proxy[^\n]*407[^\n]*\nhint: [^\n]*HTTPS_PROXY/);
    expect(refused.stderr).not.toContain("wr0ng!");
  });

  it("is left out for NO_PROXY, and named when it is down", async () => {
    const { machine } = await scene();
    const dead = `http://127.0.0.1:${await freePort()}`;
    const pull = ["pull", "--retries", "0", `${HOST}/app:1`];
    const down = await machine.exec(pull, { HTTPS_PROXY: dead });
    expect(down.stderr).toMatch(/varve: REGISTRY_UNREACHABLE/);
    const registry = await holding(machine, {});
    const local = await machine.exec(["pull", `${registry.host}/app:1`], { HTTPS_PROXY: dead, NO_PROXY: "*" });
    expect(local.code).toBe(0);
  });
});

describe("mirrors", () => {
  it("of hosts.toml come first, and when they are dead or lack something the registry serves", async () => {
    const { machine, put } = await scene();
    const upstream = await holding(machine, {});
    const mirror = await holding(machine, {});
    const empty = await startRegistry();
    onTestFinished(() => empty.close());
    const hosts = (...mirrors: string[]): Promise<string> => {
      const tables = mirrors.map((host) => `[host."http://${host}"]\ncapabilities = ["pull", "resolve"]\n`);
      return put(`certs.d/${upstream.host}/hosts.toml`, `server = "http://${upstream.host}"\n${tables.join("")}`);
    };
    const dir = ["--hosts-dir", join(machine.path, "certs.d")];
    const image = `${upstream.host}/app:1`;
    const again = async (): Promise<string[]> => {
      for (const { requests } of [upstream, mirror, empty]) (requests as unknown[]).length = 0;
      expect(await machine.pull("--retries", "0", ...dir, image)).toMatchObject({ status: "pulled" });
      await machine.ok("rm", image);
      const asked = { upstream, mirror, empty };
      return Object.entries(asked).flatMap(([name, { requests }]) => (requests.length > 0 ? [name] : []));
    };
    await hosts(mirror.host);
    expect(await again()).toEqual(["mirror"]);
    await hosts(empty.host, mirror.host);
    expect(await again()).toEqual(["mirror", "empty"]);
    await hosts(`127.0.0.1:${await freePort()}`);
    expect(await again()).toEqual(["upstream"]);
    await hosts(empty.host);
    expect(await again()).toEqual(["upstream", "empty"]);
  });

  it("of hosts.toml never see the registry's account", async () => {
    const { machine, put } = await scene();
    const upstream = await holding(machine, { auth: { kind: "basic", users: { alice: "secret" } } });
    const mirror = await holding(machine, { auth: { kind: "basic", users: { other: "other" } } });
    await put(`certs.d/${upstream.host}/hosts.toml`, `[host."http://${mirror.host}"]\n`);
    const dir = ["--hosts-dir", join(machine.path, "certs.d")];
    await machine.pull(...dir, "--creds", "alice:secret", `${upstream.host}/app:1`);
    expect(mirror.requests.length).toBeGreaterThan(0);
    for (const { headers } of mirror.requests) expect(headers.authorization).toBeUndefined();
  });

  it("of registries.conf stand in for a registry under another name", async () => {
    const { machine, put } = await scene();
    const mirror = await holding(machine, {});
    const image = "registry.example/team/app:1";
    const text = (location: string): string =>
      `[[registry]]\nprefix = "registry.example/team"\nlocation = "${mirror.host}"\n` +
      `insecure = true\n[[registry.mirror]]\nlocation = "${location}"\ninsecure = true\n`;
    const conf = await put("conf/registries.conf", text(mirror.host));
    const env = { CONTAINERS_REGISTRIES_CONF: conf };
    const { json } = await machine.exec(["pull", "--json", image], env);
    expect(json).toMatchObject({ status: "pulled", reference: image });
    await machine.ok("rm", image);
    // The mirror is dead: its location stands in.
    await put("conf/registries.conf", text(`127.0.0.1:${await freePort()}`));
    expect((await machine.exec(["pull", "--json", image], env)).json).toMatchObject({ status: "pulled" });
    await put("conf/registries.conf", `[[registry]]\nprefix = "registry.example"\nblocked = true\n`);
    expect((await machine.exec(["pull", "--json", image], env)).json).toMatchObject({
      error: { code: "REGISTRY_BLOCKED" },
    });
    const broken = await put("conf/registries.conf", "[[registry]\n");
    const wrong = await machine.exec(["pull", image], env);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining(broken)]);
  });
});

describe("a credential helper", () => {
  const helper = (body: string): string => `#!/bin/sh\n[ "$1" = get ] || exit 1\nread -r server\n${body}\n`;

  it("is asked for the account, on the PATH, by the server's name", async () => {
    const { machine, put } = await scene();
    const registry = await holding(machine, { auth: { kind: "basic", users: { alice: "from the helper" } } });
    const config = await put("docker/config.json", JSON.stringify({ credHelpers: { [registry.host]: "kit" } }));
    const program = await put(
      "bin/docker-credential-kit",
      helper(`echo "$server" > "$HOME/asked"; echo '{"ServerURL":"x","Username":"alice","Secret":"from the helper"}'`),
    );
    await chmod(program, 0o755);
    const env = {
      DOCKER_CONFIG: join(config, ".."),
      PATH: `${join(program, "..")}:${process.env["PATH"] ?? ""}`,
    };
    const pull = ["pull", "--json", "--debug", `${registry.host}/app:1`];
    const { json, stderr } = await machine.exec(pull, env);
    expect(json).toMatchObject({ status: "pulled" });
    expect(stderr).not.toContain("from the helper");
    expect(await readFile(join(machine.path, "asked"), "utf8")).toBe(`${registry.host}\n`);
    await writeFile(program, helper("echo 'the vault is sealed'; exit 1"));
    const failed = await machine.exec(["pull", `${registry.host}/app:1`], env);
    expect(failed.code).toBe(4);
    expect(failed.stderr).toMatch(/varve: CREDENTIAL_HELPER_FAILED: [^\n]*docker-credential-kit[^\n]*\nhint: /);
    await writeFile(program, helper("echo 'credentials not found in native keychain'; exit 1"));
    const nobody = await machine.exec(["pull", `${registry.host}/app:1`], env);
    expect([nobody.code, nobody.stderr]).toEqual([4, expect.stringContaining("UNAUTHORIZED")]);
  });
});
