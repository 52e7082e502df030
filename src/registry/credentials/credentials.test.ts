import { chmod, lstat, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir, type TempDir } from "../../../test/kit/temp-dir.ts";
import { fakeClock } from "../../../test/kit/http/fake-clock.ts";
import { directEndpoint } from "../endpoint.ts";
import { resolveSettings, type RegistryOptions } from "../options.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { eraseCredentials, storeCredentials } from "./credential-file.ts";
import type { Credential } from "./credential.ts";
import { helperGet } from "./helper.ts";
import { CredentialLookup } from "./lookup.ts";

const auth = (user: string, password = `pw-${user}`): { auth: string } => ({
  auth: Buffer.from(`${user}:${password}`).toString("base64"),
});

class World {
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(dir: TempDir) {
    this.dir = dir.path;
    this.env = {
      HOME: join(dir.path, "home"),
      XDG_RUNTIME_DIR: join(dir.path, "run"),
      PATH: `${join(dir.path, "bin")}:${process.env["PATH"] ?? ""}`,
    };
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  async file(path: string, content: object | string): Promise<string> {
    const full = this.path(path);
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, typeof content === "string" ? content : JSON.stringify(content));
    return full;
  }

  /** A program in sh. */
  async helper(name: string, script: string): Promise<void> {
    await chmod(await this.file(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`), 0o755);
  }

  async find(
    host: string,
    repository = "team/app",
    options: RegistryOptions = {},
    helpers?: string[],
  ): Promise<Credential | undefined> {
    const settings = resolveSettings({ env: this.env, ...options });
    const lookup = new CredentialLookup(settings, helpers && (async () => helpers));
    return await lookup.find(directEndpoint(host, repository, settings));
  }

  async user(host: string, repository?: string, options?: RegistryOptions): Promise<string | undefined> {
    const found = await this.find(host, repository, options);
    return found?.kind === "password" ? found.username : found?.kind;
  }
}

async function inWorld(test: (world: World) => Promise<void>): Promise<void> {
  await using dir = await tempDir();
  await test(new World(dir));
}

const failureOf = async (work: Promise<unknown>): Promise<VarveError> => {
  const error: unknown = await work.catch((reason: unknown) => reason);
  if (!(error instanceof VarveError)) throw new Error("no coded error");
  return error;
};

describe("where credentials come from", () => {
  it("is --creds, DOCKER_AUTH_CONFIG, REGISTRY_AUTH_FILE alone, DOCKER_CONFIG, session, user, ~/.docker, in this order", async () =>
    await inWorld(async (world) => {
      const entry = (user: string): object => ({ auths: { "r.io": auth(user) } });
      const { env } = world;
      await world.file("home/.docker/config.json", entry("home"));
      expect(await world.user("r.io")).toBe("home");
      await world.file("home/.config/containers/auth.json", entry("config"));
      expect(await world.user("r.io")).toBe("config");
      await world.file("run/containers/auth.json", entry("runtime"));
      expect(await world.user("r.io")).toBe("runtime");
      env["DOCKER_CONFIG"] = dirname(await world.file("docker/config.json", entry("docker-config")));
      expect(await world.user("r.io")).toBe("docker-config");
      env["REGISTRY_AUTH_FILE"] = await world.file("only.json", { auths: { "other.io": auth("only") } });
      expect(await world.user("r.io")).toBeUndefined();
      expect(await world.user("other.io")).toBe("only");
      env["DOCKER_AUTH_CONFIG"] = JSON.stringify(entry("inline"));
      expect(await world.user("r.io")).toBe("inline");
      expect(await world.user("other.io")).toBe("only");
      const authFile = await world.file("flag.json", entry("flag"));
      expect(await world.user("r.io", undefined, { authFile })).toBe("flag");
      const credentials = { username: "creds", password: "x" };
      expect(await world.user("r.io", undefined, { authFile, credentials })).toBe("creds");
    }));

  it("is looked up by path, longest first, and never by half a path", async () =>
    await inWorld(async (world) => {
      await world.file("home/.docker/config.json", {
        auths: { "r.io": auth("host"), "r.io/team": auth("team"), "r.io/team/app": auth("app") },
      });
      expect(await world.user("r.io", "team/app")).toBe("app");
      expect(await world.user("r.io", "team/other")).toBe("team");
      expect(await world.user("r.io", "teamwork/x")).toBe("host");
      expect(await world.user("r.io:5000", "team/app")).toBeUndefined();
      expect(await world.user("sub.r.io", "team/app")).toBeUndefined();
    }));

  it("knows Docker Hub under all its names", async () =>
    await inWorld(async (world) => {
      for (const key of ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"]) {
        await world.file("home/.docker/config.json", { auths: { [key]: auth("hub") } });
        expect(await world.user("docker.io", "library/debian")).toBe("hub");
      }
      await world.file("home/.docker/config.json", { auths: { "https://r.io/v2/": auth("url") } });
      expect(await world.user("r.io")).toBe("url");
    }));

  it("understands passwords with colons and padding, identity tokens and registry tokens", async () =>
    await inWorld(async (world) => {
      await world.file("home/.docker/config.json", {
        auths: {
          "a.io": { auth: Buffer.from("user:pa:ss\0\0").toString("base64") },
          "b.io": { ...auth("user"), identitytoken: "idt" },
          "c.io": { registrytoken: "rt" },
          "d.io": {},
        },
      });
      expect(await world.find("a.io")).toEqual({ kind: "password", username: "user", password: "pa:ss" });
      expect(await world.find("b.io")).toEqual({ kind: "identity-token", token: "idt" });
      expect(await world.find("c.io")).toEqual({ kind: "registry-token", token: "rt" });
      expect(await world.find("d.io")).toBeUndefined();
    }));

  it("is CREDENTIALS_INVALID when a file is broken, without showing what is in it", async () =>
    await inWorld(async (world) => {
      const broken = [
        '{"auths": {"r.io": {"auth": "c2VjcmV0LXRleHQ',
        '{"auths":{"r.io":{"auth":"c2VjcmV0LXRleHQ="}}}',
        "[]",
      ];
      for (const text of [...broken, '{"auths":[]}', '{"auths":{"r.io":"c2VjcmV0LXRleHQ"}}', '{"credsStore":5}']) {
        await world.file("home/.docker/config.json", text);
        const error = await failureOf(world.find("r.io"));
        expect(error.code).toBe("CREDENTIALS_INVALID");
        expect(error.message).toContain("config.json");
        expect(error.message).not.toMatch(/c2VjcmV0|secret-text/);
      }
      expect((await failureOf(world.find("r.io", "x", { authFile: "/nonexistent/a.json" }))).code).toBe(
        "CREDENTIALS_INVALID",
      );
    }));
});

const answer = (user: string, secret: string): string =>
  `cat > "$(dirname "$0")/../stdin"; printf '{"ServerURL":"x","Username":"%s","Secret":"%s"}' '${user}' '${secret}'`;

describe("a credential helper", () => {
  it("for the host comes before the store, and the file's own entries do not count then", async () =>
    await inWorld(async (world) => {
      await world.helper("one", answer("from-one", "s"));
      await world.helper("all", answer("<token>", "idt"));
      await world.helper("none", "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1");
      const auths = { "r.io": auth("file"), "s.io": auth("file"), "n.io": auth("file") };
      const credHelpers = { "r.io": "one", "n.io": "none" };
      await world.file("home/.docker/config.json", { auths, credHelpers, credsStore: "all" });
      expect(await world.user("r.io")).toBe("from-one");
      expect(await readFile(world.path("stdin"), "utf8")).toBe("r.io");
      expect(await world.find("s.io")).toEqual({ kind: "identity-token", token: "idt" });
      expect(await world.user("n.io")).toBeUndefined();
      await world.find("docker.io");
      expect(await readFile(world.path("stdin"), "utf8")).toBe("https://index.docker.io/v1/");
    }));

  it("of registries.conf comes before or after the files", async () =>
    await inWorld(async (world) => {
      await world.helper("conf", answer("from-conf", "s"));
      await world.file("home/.docker/config.json", { auths: { "r.io": auth("file") } });
      const user = async (helpers: string[]): Promise<unknown> => await world.find("r.io", "x", {}, helpers);
      expect(await user(["conf", "containers-auth.json"])).toMatchObject({ username: "from-conf" });
      expect(await user(["containers-auth.json", "conf"])).toMatchObject({ username: "file" });
    }));

  it("is asked once in five minutes", async () =>
    await inWorld(async (world) => {
      await world.helper("count", `echo x >> "$(dirname "$0")/../count"; ${answer("u", "s")}`);
      await world.file("home/.docker/config.json", { credsStore: "count" });
      const clock = fakeClock();
      const settings = resolveSettings({ env: world.env, clock });
      const lookup = new CredentialLookup(settings);
      const endpoint = directEndpoint("r.io", "a/b", settings);
      const count = async (): Promise<number> => (await readFile(world.path("count"), "utf8")).length / 2;
      await Promise.all([lookup.find(endpoint), lookup.find(endpoint)]);
      expect(await count()).toBe(1);
      clock.advance(5 * 60_000);
      await lookup.find(endpoint);
      expect(await count()).toBe(2);
      await lookup.find(endpoint, { fresh: true });
      expect(await count()).toBe(3);
    }));

  it("that fails, is missing, or talks nonsense is CREDENTIAL_HELPER_FAILED and shows nothing of what it printed", async () =>
    await inWorld(async (world) => {
      await world.helper("fails", "cat >/dev/null; echo my-secret; echo my-secret >&2; exit 3");
      await world.helper("garbles", "cat >/dev/null; echo my-secret");
      await world.helper("shrugs", 'cat >/dev/null; echo \'{"Secret":"my-secret"}\'');
      for (const name of ["fails", "garbles", "shrugs", "missing"]) {
        await world.file("home/.docker/config.json", { credsStore: name });
        const error = await failureOf(world.find("r.io"));
        expect(error.code).toBe("CREDENTIAL_HELPER_FAILED");
        expect(error.message).toContain(`docker-credential-${name}`);
        expect(JSON.stringify(error) + String(error)).not.toContain("my-secret");
      }
    }));

  it("that hangs or floods is killed", async () =>
    await inWorld(async (world) => {
      await world.helper("hangs", "exec sleep 1000");
      await world.helper("floods", "exec cat /dev/zero");
      const timeout = helperGet("hangs", "r.io", { env: world.env, timeoutMs: 50 });
      await expect(timeout).rejects.toMatchObject({
        code: "CREDENTIAL_HELPER_FAILED",
        message: expect.stringContaining("50 ms"),
      });
      const flood = helperGet("floods", "r.io", { env: world.env, timeoutMs: 30_000 });
      await expect(flood).rejects.toMatchObject({
        code: "CREDENTIAL_HELPER_FAILED",
        message: expect.stringContaining("bytes"),
      });
    }));

  it("whose name is a path or an option is not run", async () =>
    await inWorld(async (world) => {
      for (const name of ["../evil", "a/b", "-x", "", "a b", "x;y", "$(id)", "a".repeat(100)]) {
        const asking = helperGet(name, "r.io", { env: world.env, timeoutMs: 1000 });
        await expect(asking).rejects.toMatchObject({ code: "CREDENTIALS_INVALID" });
      }
    }));
});

describe("login and logout", () => {
  const account = { username: "ada", password: "p:w" };

  it("keep everything else in the file, write it for its owner only, and follow a symbolic link", async () =>
    await inWorld(async (world) => {
      const real = await world.file("dotfiles/config.json", {
        auths: { "https://r.io/v1/": auth("old"), "s.io": auth("other") },
        proxies: { default: {} },
      });
      await mkdir(world.path("home/.docker"), { recursive: true });
      await symlink(real, world.path("home/.docker/config.json"));
      const place = await storeCredentials("r.io", account, { env: world.env });
      expect(place).toEqual({ file: world.path("home/.docker/config.json") });
      expect((await lstat(place.file)).isSymbolicLink()).toBe(true);
      expect((await stat(real)).mode & 0o777).toBe(0o600);
      expect(JSON.parse(await readFile(real, "utf8"))).toEqual({
        auths: { "r.io": auth("ada", "p:w"), "s.io": auth("other") },
        proxies: { default: {} },
      });
      expect(await world.find("r.io")).toEqual({ kind: "password", ...account });
      expect(await eraseCredentials("r.io", { env: world.env })).toEqual([place]);
      expect(await world.find("r.io")).toBeUndefined();
      expect(await world.user("s.io")).toBe("other");
      expect(await eraseCredentials("r.io", { env: world.env })).toEqual([]);
    }));

  it("make ~/.docker/config.json when there is none, and use Docker's key for Docker Hub", async () =>
    await inWorld(async (world) => {
      const { file } = await storeCredentials("docker.io", account, { env: world.env });
      expect(file).toBe(world.path("home/.docker/config.json"));
      expect(Object.keys((JSON.parse(await readFile(file, "utf8")) as { auths: object }).auths)).toEqual([
        "https://index.docker.io/v1/",
      ]);
      expect(await world.user("docker.io", "library/debian")).toBe("ada");
    }));

  it("replace the account where it is, so that what is read is what was stored", async () =>
    await inWorld(async (world) => {
      const runtime = await world.file("run/containers/auth.json", { auths: { "r.io": auth("stale") } });
      expect((await storeCredentials("r.io", account, { env: world.env })).file).toBe(runtime);
      expect(await world.user("r.io")).toBe("ada");
    }));

  it("write to --authfile, or to REGISTRY_AUTH_FILE", async () =>
    await inWorld(async (world) => {
      const authFile = world.path("new", "auth.json");
      expect((await storeCredentials("r.io", account, { env: world.env, authFile })).file).toBe(authFile);
      const env = { ...world.env, REGISTRY_AUTH_FILE: world.path("env.json") };
      expect((await storeCredentials("r.io", account, { env })).file).toBe(env.REGISTRY_AUTH_FILE);
    }));

  it("go through the helper that the file names, and leave no secret in the file", async () =>
    await inWorld(async (world) => {
      await world.helper("box", `cat > "$(dirname "$0")/../$1"`);
      const file = await world.file("home/.docker/config.json", { credsStore: "box" });
      expect(await storeCredentials("r.io", account, { env: world.env })).toEqual({ file, helper: "box" });
      expect(JSON.parse(await readFile(world.path("store"), "utf8"))).toEqual({
        ServerURL: "r.io",
        Username: "ada",
        Secret: "p:w",
      });
      expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ auths: { "r.io": {} }, credsStore: "box" });
      expect(await eraseCredentials("r.io", { env: world.env })).toEqual([{ file, helper: "box" }]);
      expect(await readFile(world.path("erase"), "utf8")).toBe("r.io");
      expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ auths: {}, credsStore: "box" });
    }));
});
