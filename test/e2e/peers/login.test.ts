/** Accounts at docker-registry, guarded by htpasswd, in a credential file that skopeo reads and writes as well. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { KitImage } from "../../kit/images/build-image.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { startDockerRegistry, type DockerRegistry } from "../../kit/peers/docker-registry.ts";
import { runVarve } from "../../kit/peers/varve.ts";
import { newMachine, type Machine } from "../machine.ts";
import { sampleImage } from "../samples.ts";
import { lacks, skopeo, skopeoRaw } from "./programs.ts";

describe.skipIf(lacks("docker-registry", "skopeo"))("a registry that asks for an account", () => {
  const credentials = { username: "alice", password: "pass:word with spaces" };
  let registry: DockerRegistry;
  let image: KitImage;
  let name: string;

  beforeAll(async () => {
    registry = await startDockerRegistry({
      auth: { kind: "htpasswd", users: { [credentials.username]: credentials.password } },
    });
    image = await sampleImage();
    name = `${registry.host}/private/app:v1`;
    await pushImage(registry.host, "private/app", "v1", image, { credentials });
  });

  afterAll(() => registry?.close());

  async function setUp(): Promise<{ machine: Machine; authfile: string }> {
    const machine = await newMachine();
    onTestFinished(() => machine[Symbol.asyncDispose]());
    return { machine, authfile: join(machine.path, "auth.json") };
  }

  const logIn = (machine: Machine, password: string, ...flags: string[]) => {
    const args = ["login", ...flags, "--username", credentials.username, "--password-stdin", registry.host];
    return runVarve(args, { root: machine.root, env: { HOME: machine.path }, input: `${password}\n` });
  };

  it("refuses those who have none, with exit 4 and what to do", async () => {
    const { machine } = await setUp();
    const failure = await machine.fails("pull", name);
    expect(failure).toMatchObject({ exit: 4, code: "UNAUTHORIZED", hint: expect.stringContaining("varve login") });
    expect(await machine.images()).toEqual([]);
  });

  it("lets pull after a login, and no longer after the logout", async () => {
    const { machine, authfile } = await setUp();
    const other = { "other.example": { auth: Buffer.from("bob:pw").toString("base64") } };
    await writeFile(authfile, JSON.stringify({ auths: other }), { mode: 0o600 });
    const login = await logIn(machine, credentials.password, "--authfile", authfile);
    expect([login.code, login.stdout.toString()]).toEqual([0, `logged in to ${registry.host} as alice\n`]);
    expect((await machine.pull("--authfile", authfile, name)).digest).toBe(image.digest);

    const byVariable = await machine.exec(["pull", name], { REGISTRY_AUTH_FILE: authfile });
    expect(byVariable.code).toBe(0);
    // Nowhere else: without the file there is no account.
    expect((await machine.exec(["pull", name])).code).toBe(4);

    await machine.ok("logout", "--authfile", authfile, registry.host);
    expect(JSON.parse(await readFile(authfile, "utf8"))).toEqual({ auths: other });
    const failure = await machine.fails("pull", "--authfile", authfile, name);
    expect(failure).toMatchObject({ exit: 4, code: "UNAUTHORIZED", hint: expect.stringContaining("varve login") });
  });

  it("is not logged in to with a wrong password, and no file is written", async () => {
    const { machine, authfile } = await setUp();
    const { code, stderr } = await logIn(machine, "wrong", "--authfile", authfile);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^varve: UNAUTHORIZED: .+\nhint: .+\n$/m);
    expect(stderr).not.toContain("wrong");
    expect(existsSync(authfile)).toBe(false);
  });

  it("refuses a wrong password that comes with the pull or stands in the file", async () => {
    const { machine, authfile } = await setUp();
    const given = await machine.fails("pull", "--creds", "alice:wrong", name);
    expect(given).toMatchObject({ exit: 4, code: "UNAUTHORIZED", hint: expect.any(String) });
    const auth = Buffer.from("alice:stale").toString("base64");
    await writeFile(authfile, JSON.stringify({ auths: { [registry.host]: { auth } } }), { mode: 0o600 });
    const stale = await machine.fails("pull", "--authfile", authfile, name);
    expect(stale).toMatchObject({ exit: 4, code: "UNAUTHORIZED", hint: expect.stringContaining("varve login") });
    for (const { message, hint } of [given, stale]) expect(`${message}${hint}`).not.toMatch(/wrong|stale/);
    await machine.pull("--creds", `${credentials.username}:${credentials.password}`, name);
  });

  it("is logged in to by varve for skopeo, and by skopeo for varve", async () => {
    const { machine, authfile } = await setUp();
    await logIn(machine, credentials.password, "--authfile", authfile);
    const inspect = ["inspect", "--raw", "--tls-verify=false", "--authfile", authfile, `docker://${name}`];
    expect((await skopeo(...inspect)).equals(image.bytes)).toBe(true);
    await skopeo("logout", "--authfile", authfile, registry.host);
    expect((await machine.fails("pull", "--authfile", authfile, name)).exit).toBe(4);
    await expect(skopeoRaw(`docker://${name}`)).rejects.toThrow(/unauthorized|authentication/);

    const flags = ["--tls-verify=false", "--authfile", authfile, "-u", credentials.username];
    await skopeo("login", ...flags, "-p", credentials.password, registry.host);
    expect((await machine.pull("--authfile", authfile, name)).digest).toBe(image.digest);
    await machine.ok("logout", "--authfile", authfile, registry.host);
    await expect(skopeo(...inspect)).rejects.toThrow(/unauthorized|authentication/);
  });
});
