/** Logging in and out: where the account comes from, that it is checked first, and that no secret is shown. */
import { describe, expect, it } from "vitest";
import { VarveError } from "../errors/varve-error.ts";
import type { FakeHostOptions } from "./host.suite.ts";
import type { Credentials } from "./parse-values.ts";
import { runWith } from "./services.suite.ts";
import type { Services } from "./services.ts";

const terminal = { columns: 80, rows: 24 };

async function login(args: readonly string[], options: FakeHostOptions = {}, more: Partial<Services> = {}) {
  const stored: [string, Credentials][] = [];
  const checked: [string, Credentials][] = [];
  const finished = await runWith(
    ["login", ...args],
    {
      checkLogin(host, credentials) {
        checked.push([host, credentials]);
        return Promise.resolve({ checked: true });
      },
      storeCredentials(host, credentials) {
        stored.push([host, credentials]);
        return Promise.resolve({ file: "/home/me/.docker/config.json" });
      },
      ...more,
    },
    options,
  );
  return { ...finished, stored, checked };
}

const account = { username: "me", password: "s3cret" };

describe("login", () => {
  it("takes the password from standard input, checks it, stores it, and warns that it lies open", async () => {
    const { code, host, stored, checked } = await login(["-u", "me", "--password-stdin", "https://GHCR.io/"], {
      input: ["s3c", "ret\r\n"],
    });
    expect(code).toBe(0);
    expect(checked).toEqual([["ghcr.io", account]]);
    expect(stored).toEqual(checked);
    expect(host.out).toBe("logged in to ghcr.io as me\n");
    expect(host.err).toMatch(/^varve: warning: the password is kept unencrypted in \/home\/me\/.docker\/config.json/);
  });

  it("asks on a terminal, shows the name and not the password, and puts the terminal back", async () => {
    const { code, host, stored } = await login(["ghcr.io"], {
      inputIsTerminal: true,
      terminal,
      input: ["mx\u007fe\r", "s3x\u001b[D\u007fc", "ret\r"],
    });
    expect(code).toBe(0);
    expect(stored).toEqual([["ghcr.io", account]]);
    expect(host.screen.visible().slice(0, 2)).toEqual(["username for ghcr.io: me", "password for me at ghcr.io:"]);
    expect(host.rawModes).toEqual([true, false, true, false]);
    expect(host.err + host.out).not.toMatch(/s3|cret/);
  });

  it("says whose account was refused, and does not advise to log in", async () => {
    const { code, host, stored } = await login(
      ["--creds", "me:s3cret", "ghcr.io"],
      {},
      {
        checkLogin: () => Promise.reject(new VarveError("UNAUTHORIZED", "status 401", { hint: "varve login ghcr.io" })),
      },
    );
    expect(code).toBe(4);
    expect(stored).toEqual([]);
    expect(host.err).toMatch(
      /^varve: UNAUTHORIZED: ghcr\.io refused the account "me": status 401\nhint: check the user/,
    );
    expect(host.err).not.toMatch(/s3cret|varve login/);
  });

  it("takes what was typed ahead for the next question", async () => {
    const { stored } = await login(["ghcr.io"], { inputIsTerminal: true, input: ["me\rs3cret\r"] });
    expect(stored).toEqual([["ghcr.io", account]]);
  });

  it.each(["\u0003", "\u0004", "abc\u0003"])("ends with 130 on %j, and stores nothing", async (keys) => {
    const { code, host, stored } = await login(["-u", "me", "ghcr.io"], { inputIsTerminal: true, input: [keys] });
    expect(code).toBe(130);
    expect(host.rawModes).toEqual([true, false]);
    expect(stored).toEqual([]);
  });

  it("takes --creds", async () => {
    const { stored, host } = await login(
      ["--creds", "me:s3cret", "ghcr.io", "--json"],
      {},
      {
        storeCredentials: () => Promise.resolve({ file: "/f", helper: "pass" }),
      },
    );
    expect(stored).toEqual([]);
    expect(JSON.parse(host.out)).toEqual({
      host: "ghcr.io",
      username: "me",
      file: "/f",
      helper: "pass",
      checked: true,
    });
    expect(host.err).toBe("");
  });

  it("stores nothing that the registry refuses", async () => {
    const refusal = new VarveError("UNAUTHORIZED", "ghcr.io refuses the account");
    const services = { checkLogin: () => Promise.reject(refusal) };
    const { code, stored } = await login(["--creds", "me:x", "ghcr.io"], {}, services);
    expect(code).toBe(4);
    expect(stored).toEqual([]);
  });

  it("says when the registry asked for no account", async () => {
    const { host } = await login(
      ["--creds", "me:x", "localhost:5000"],
      {},
      { checkLogin: () => Promise.resolve({ checked: false }) },
    );
    expect(host.err).toContain("localhost:5000 asked for no account");
  });

  it.each([
    [["ghcr.io"], "nobody is there to be asked"],
    [["--password-stdin", "ghcr.io"], "--password-stdin needs --username"],
    [["-u", "a:b", "--password-stdin", "ghcr.io"], "a username cannot hold a colon"],
    [["-u", "me", "--password-stdin", "ghcr.io"], "the password is empty"],
    [["--creds", "me:x", "-u", "me", "ghcr.io"], "--creds goes with neither"],
    [["-u", "me", "ghcr.io/org/app"], "is more than a registry"],
  ])("%j is wrong usage", async (args, message) => {
    const { code, host, stored } = await login(args, { input: ["\n"] });
    expect(code).toBe(2);
    expect(host.err).toContain(message);
    expect(stored).toEqual([]);
  });

  it("does not read a password without end", async () => {
    const { code, host } = await login(["-u", "me", "--password-stdin", "h"], {
      input: Array.from({ length: 100 }, () => "x".repeat(1000)),
    });
    expect(code).toBe(2);
    expect(host.err).toContain("longer than 64 KiB");
  });
});

describe("logout", () => {
  it("tells whether there was anything to forget", async () => {
    const places = [[{ file: "/f" }], []];
    const eraseCredentials = () => Promise.resolve(places.shift() ?? []);
    expect((await runWith(["logout", "docker.io"], { eraseCredentials })).host.out).toBe("logged out of docker.io\n");
    const none = await runWith(["logout", "ghcr.io", "--json"], { eraseCredentials });
    expect(JSON.parse(none.host.out)).toEqual({ host: "ghcr.io", erased: false });
    expect(none.code).toBe(0);
  });
});
