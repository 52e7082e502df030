import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { findPeer } from "../../test/kit/peers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { parseImageConfig, type ImageConfig } from "./config.ts";
import { runtimeConfig, type RuntimeConfigOptions } from "./runtime-config.ts";

const run = promisify(execFile);

function image(config: object, top: object = {}): ImageConfig {
  const rootfs = { type: "layers", diff_ids: [] };
  return parseImageConfig(Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", rootfs, config, ...top })));
}

const ROOT: RuntimeConfigOptions = { uid: 0, gid: 0 };

describe("a runtime config", () => {
  it("runs the entrypoint with the command as its arguments", () => {
    const { process } = runtimeConfig(
      image({ Entrypoint: ["/entry"], Cmd: ["a", "b"], WorkingDir: "srv/../app" }),
      ROOT,
    );
    expect(process).toMatchObject({ args: ["/entry", "a", "b"], cwd: "/app", terminal: false, noNewPrivileges: true });
    expect(runtimeConfig(image({}), ROOT).process).toMatchObject({ args: ["sh"], cwd: "/" });
  });

  it("gives a PATH to an image that has none", () => {
    const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    expect(runtimeConfig(image({ Env: ["A=b"] }), ROOT).process.env).toEqual([path, "A=b"]);
    expect(runtimeConfig(image({ Env: ["PATH=/x"] }), { ...ROOT, terminal: true }).process.env).toEqual([
      "PATH=/x",
      "TERM=xterm",
    ]);
  });

  it("turns what the image says of itself into annotations, labels first", () => {
    const top = {
      created: "2024-01-01T00:00:00Z",
      author: "me",
      variant: "v2",
      "os.version": "1",
      "os.features": ["a", "b"],
    };
    const config = {
      StopSignal: "SIGINT",
      ExposedPorts: { "80/tcp": {}, "53/udp": {} },
      Labels: { x: "y", "org.opencontainers.image.author": "label" },
    };
    expect(runtimeConfig(image(config, top), ROOT).annotations).toEqual({
      "org.opencontainers.image.os": "linux",
      "org.opencontainers.image.architecture": "amd64",
      "org.opencontainers.image.variant": "v2",
      "org.opencontainers.image.os.version": "1",
      "org.opencontainers.image.os.features": "a,b",
      "org.opencontainers.image.created": "2024-01-01T00:00:00Z",
      "org.opencontainers.image.stopSignal": "SIGINT",
      "org.opencontainers.image.exposedPorts": "80/tcp,53/udp",
      "org.opencontainers.image.author": "label",
      x: "y",
    });
  });

  it("refuses texts that no system call can take", () => {
    for (const config of [{ Cmd: ["a\0b"] }, { Env: ["A=\0"] }, { WorkingDir: "/\0" }]) {
      expect(() => runtimeConfig(image(config), ROOT)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    }
  });

  it("maps the user of a rootless container and asks for nothing it may not have", () => {
    const config = runtimeConfig(image({}), {
      uid: 5,
      gid: 6,
      additionalGids: [7],
      rootless: { hostUid: 1000, hostGid: 1001 },
    });
    expect(config.process.user).toEqual({ uid: 0, gid: 0 });
    expect(config.linux).toMatchObject({
      uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 1001, size: 1 }],
    });
    expect(config.linux.namespaces.map(({ type }) => type)).toEqual(["pid", "ipc", "uts", "mount", "user"]);
    expect(config.linux.resources).toBe(undefined);
    expect(JSON.stringify(config.mounts)).not.toMatch(/gid=|cgroup/);
  });
});

const runc = findPeer("runc");
const go = findPeer("go");
const SAY = `package main
import ("fmt";"os")
func main() {
  host, _ := os.Hostname()
  groups, _ := os.Getgroups()
  write := os.WriteFile("/data/file", nil, 0644) == nil
  fmt.Print(os.Getuid(), " ", os.Getgid(), " ", groups, " ", host, " ", write, " ", os.Args[1:])
}`;

describe.skipIf(runc === undefined || go === undefined || process.getuid?.() !== 0)("runc, given that config", () => {
  it("runs the image: as root, as its user with a read-only root, and rootless", async () => {
    await using dir = await tempDir();
    const bundle = join(dir.path, "bundle");
    await mkdir(join(bundle, "rootfs/data"), { recursive: true });
    await writeFile(join(dir.path, "say.go"), SAY);
    await run(go ?? "", ["build", "-o", join(bundle, "rootfs/say"), join(dir.path, "say.go")], {
      env: { ...process.env, CGO_ENABLED: "0" },
    });
    const config = image({ Entrypoint: ["/say"], Cmd: ["x"], Volumes: { "/data": {} } });
    const say = async (options: RuntimeConfigOptions): Promise<string> => {
      await writeFile(join(bundle, "config.json"), JSON.stringify(runtimeConfig(config, options)));
      const id = `varve-test-${process.pid}`;
      const { stdout } = await run(runc ?? "", ["--root", join(dir.path, "state"), "run", "--bundle", bundle, id]);
      return stdout;
    };
    expect(await say({ ...ROOT, hostname: "box" })).toBe("0 0 [] box true [x]");
    expect(await say({ uid: 1000, gid: 1001, additionalGids: [5], readonly: true })).toBe(
      "1000 1001 [5] varve true [x]",
    );
    expect(await say({ uid: 1000, gid: 1001, rootless: { hostUid: 0, hostGid: 0 } })).toBe("0 0 [] varve true [x]");
  });
});
