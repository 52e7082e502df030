import { mkdir, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { defaultConfig } from "./defaults.ts";
import { CONFIG_KEYS, variableOf } from "./keys.ts";
import { resolveConfig, type ConfigSources } from "./resolve-config.ts";
import type { DaemonConfig } from "./types.ts";

/** The configuration that a file with this text gives. */
async function configOf(toml: string, sources: Partial<ConfigSources> = {}): Promise<DaemonConfig> {
  await using dir = await tempDir();
  const file = `${dir.path}/varve.toml`;
  await writeFile(file, toml);
  return await resolveConfig({ file, env: {}, user: 0, ...sources });
}

const given = (value: unknown): { name: string; value: unknown } => ({ name: "--flag", value });

describe("without anything said", () => {
  it("is the defaults, with the system's socket for root and the user's own for others", async () => {
    await using dir = await tempDir();
    const env = { XDG_CONFIG_HOME: dir.path, XDG_RUNTIME_DIR: "/run/user/7" };
    const config = await resolveConfig({ env, user: 7 });
    expect(config).toEqual(defaultConfig(env, 7));
    expect(config.listen.socket).toBe("/run/user/7/varve/varve.sock");
    expect(defaultConfig({}, 0).listen.socket).toBe("/run/varve/varve.sock");
    expect(defaultConfig({}, 7).listen.socket).toBeNull();
  });

  it("takes the user's file where there is one", async () => {
    await using dir = await tempDir();
    await mkdir(`${dir.path}/varve`);
    await writeFile(`${dir.path}/varve/varve.toml`, "allowPush = true");
    expect((await resolveConfig({ env: { XDG_CONFIG_HOME: dir.path }, user: 7 })).allowPush).toBe(true);
  });
});

describe("what is said", () => {
  it("stands in tables of the file, with units", async () => {
    const config = await configOf(`
      allowPush = true
      deltaRoots = ["/srv/a", "/srv/b"]
      [listen]
      address = "127.0.0.1:5000"
      noAuth = true
      [listen.tls]
      certFile = "/c.pem"
      keyFile = "/k.pem"
      [mirror]
      upstreams = ["docker.io", { host = "quay.io", credentials = false }]
      keepBytes = "50GB"
      [limits]
      bodyBytes = "2MiB"
      graceMs = "5m"
      [log]
      level = "debug"
    `);
    expect(config).toMatchObject({
      allowPush: true,
      deltaRoots: ["/srv/a", "/srv/b"],
      listen: { address: "127.0.0.1:5000", tls: { certFile: "/c.pem", keyFile: "/k.pem", clientCaFile: null } },
      mirror: {
        upstreams: [
          { host: "docker.io", credentials: true, passCredentials: false },
          { host: "quay.io", credentials: false, passCredentials: false },
        ],
        keepBytes: 50e9,
      },
      limits: { bodyBytes: 2 * 1024 * 1024, graceMs: 300_000, idleMs: 60_000 },
      log: { level: "debug" },
    });
  });

  it("is taken from flags first, then from the environment, then from the file", async () => {
    const toml =
      '[log]\nlevel = "error"\n[limits]\nidleMs = 1000\nheadersMs = 1000\n[mirror]\nupstreams = ["a.example"]';
    const config = await configOf(toml, {
      env: {
        VARVE_LOG_LEVEL: "warn",
        VARVE_LIMITS_IDLE_MS: "2s",
        VARVE_MIRROR_UPSTREAMS: "docker.io, quay.io",
        VARVE_ALLOW_PUSH: "true",
        VARVE_DELTA_ROOT: "/a:/b",
        VARVE_LIMITS_GRACE_MS: "",
      },
      flags: { "log.level": given("debug") },
    });
    expect(config).toMatchObject({
      log: { level: "debug" },
      limits: { idleMs: 2000, headersMs: 1000, graceMs: 30_000 },
      allowPush: true,
      deltaRoots: ["/a", "/b"],
    });
    expect(config.mirror.upstreams.map(({ host }) => host)).toEqual(["docker.io", "quay.io"]);
  });

  it("may be none, and leaves out the socket where an address alone is named", async () => {
    expect((await configOf('[listen]\nsocket = "none"')).listen.socket).toBeNull();
    expect((await configOf("", { env: { VARVE_LISTEN_SOCKET: "none" } })).listen.socket).toBeNull();
    expect((await configOf('[listen]\naddress = "127.0.0.1:0"')).listen.socket).toBeNull();
    const both = await configOf('[listen]\naddress = "127.0.0.1:0"\nsocket = "/x.sock"');
    expect(both.listen).toMatchObject({ address: "127.0.0.1:0", socket: "/x.sock" });
  });

  it("makes the registry of names without one an upstream", async () => {
    const { mirror } = await configOf('[mirror]\ndefaultUpstream = "docker.io"\nupstreams = ["quay.io"]');
    expect(mirror.upstreams.map(({ host }) => host)).toEqual(["quay.io", "docker.io"]);
    expect(
      (await configOf('[mirror]\ndefaultUpstream = "docker.io"\nupstreams = ["*"]')).mirror.upstreams,
    ).toHaveLength(1);
  });
});

describe("what is wrong", () => {
  it.each([
    ["mirror = 3", 'varve.toml: "mirror" must be a table'],
    ["[mirror]\nkeepByte = 3", 'varve.toml has the key "mirror.keepByte", which varve does not know'],
    ["[miror]\n", 'varve.toml has the key "miror"'],
    ["listen.tls.cert = 'x'", 'has the key "listen.tls.cert"'],
    ["allowPush = 1", "varve.toml: allowPush must be true or false, not 1"],
    ['[mirror]\nkeepBytes = "lots"', "mirror.keepBytes must be bytes"],
    ["[mirror]\nkeepBytes = -1", "mirror.keepBytes must be bytes"],
    ["[mirror]\ntagSeconds = 1.5", "mirror.tagSeconds must be a whole number from 0"],
    ['[mirror]\nupstreams = "docker.io"', "mirror.upstreams must be a list"],
    ['[mirror]\nupstreams = ["https://docker.io"]', "mirror.upstreams must be a list"],
    ['[mirror]\nupstreams = [{ host = "docker.io", creds = true }]', "mirror.upstreams must be a list"],
    ['[mirror]\ndefaultUpstream = "a/b"', "mirror.defaultUpstream must be a registry"],
    ['[listen]\nsocket = "here.sock"', "listen.socket must be an absolute path"],
    ['[listen]\naddress = "5000"', "listen.address must be HOST:PORT"],
    ['[listen.tls]\ncertFile = "/c.pem"', "TLS needs both"],
    ['[log]\nlevel = "loud"', "log.level must be one of debug, info, warn, error"],
    ["[limits]\ngraceMs = 1e12", "limits.graceMs must be milliseconds"],
    ["allowPush = yes", "varve.toml is not TOML (line 1)"],
    ["allowPush = true\nallowPush = true", "varve.toml is not TOML (line 2)"],
  ])("is told with its file, its key and what is allowed: %j", async (toml, message) => {
    const failure = configOf(toml);
    await expect(failure).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
    await expect(failure).rejects.toThrow(message);
  });

  it("is told with the name of the variable or the flag", async () => {
    await expect(configOf("", { env: { VARVE_LIMITS_IDLE_MS: "soon" } })).rejects.toThrow(
      "VARVE_LIMITS_IDLE_MS must be",
    );
    await expect(configOf("", { flags: { "listen.address": given("x") } })).rejects.toThrow("--flag must be HOST:PORT");
  });

  it("does not repeat the address of a database, which may hold a password", async () => {
    const failure = configOf("", { env: { VARVE_JOBS_QUEUE: "mysql://u:secret@h" } });
    await expect(failure).rejects.toThrow("VARVE_JOBS_QUEUE must be");
    await expect(failure).rejects.not.toThrow("secret");
  });

  it("is a file that was named and is not there, or is no file", async () => {
    const env = {};
    await expect(resolveConfig({ file: "/nowhere/varve.toml", env })).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(resolveConfig({ file: "/", env })).rejects.toMatchObject({ code: "IO" });
  });
});

it("has a key, of a kind that takes its default, for everything that a daemon can be told", () => {
  const defaults = defaultConfig({}, 0) as unknown as Record<string, unknown>;
  const named = Object.entries(defaults).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.keys(value).map((name) => `${key}.${name}`)
      : [key],
  );
  const known = new Set(CONFIG_KEYS.map(({ key }) => key.split(".").slice(0, 2).join(".")));
  expect([...known].sort()).toEqual([...named].sort());
  expect(new Set(CONFIG_KEYS.map(variableOf)).size).toBe(CONFIG_KEYS.length);
});
