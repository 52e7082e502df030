/** What goes wrong: exit codes, the two lines for people, the one document for programs, and no control characters. */
import { describe, expect, it } from "vitest";
import { VarveError } from "../errors/varve-error.ts";
import { runWith } from "./services.suite.ts";

describe("usage errors", () => {
  it.each([
    [["frobnicate"], "unknown command 'frobnicate'", "varve --help lists the commands"],
    [["pul"], "unknown command 'pul'", "did you mean pull? varve --help lists the commands"],
    [[], "no command was given", "varve --help lists the commands"],
    [["pull"], "missing required argument 'ref'", "see varve pull --help"],
    [["tag", "a"], "missing required argument 'ref'", "see varve tag --help"],
    [["images", "extra"], "too many arguments for 'images'", "see varve images --help"],
    [["pull", "--plam", "a"], "unknown option '--plam'", "did you mean --plan? see varve pull --help"],
    [["pull", "a", "-j"], "option '-j, --concurrency <n>' argument missing", "see varve --help"],
    [["pull", "a", "-j", "0"], '--concurrency takes a whole number from 1 to 256, not "0"', "see varve pull --help"],
    [["pull", "a", "--lease", "1"], "unknown option '--lease'", "see varve pull --help"],
    [
      ["pull", "oci:dir:1"],
      "pull takes images of registries, not oci:dir:1",
      "varve copy oci:dir:1 NAME gets it into the store",
    ],
    [["deploy", "a"], "unknown command 'deploy'", ""],
    [["serve", "a"], "too many arguments for 'serve'", "see varve serve --help"],
    [["-q", "-v", "version"], "--quiet goes with neither --verbose nor --debug", "see varve version --help"],
    [
      ["--progress", "loud", "version"],
      '--progress takes one of auto, tty, plain, json, none, not "loud"',
      "see varve version --help",
    ],
    [["--cred", "x", "nothing"], "unknown option '--cred'", "did you mean --creds? see varve --help"],
    [["--cert-file", "x", "version"], "--cert-file and --key-file go together", "see varve version --help"],
    [["inspect", "--raw", "--config", "a"], "--raw and --config do not go together", "see varve inspect --help"],
    [["completion", "tcsh"], 'completion takes one of bash, zsh, fish, not "tcsh"', "see varve completion --help"],
  ])("%j exits with 2", async (args, message, hint) => {
    const { code, host } = await runWith(args);
    expect(code).toBe(2);
    expect(host.out).toBe("");
    expect(host.err).toContain(`varve: USAGE: ${message}`);
    if (hint !== "") expect(host.err).toContain(`\nhint: ${hint}\n`);
    expect(host.err.split("\n")).toHaveLength(3);

    const asJson = await runWith(["--json", ...args]);
    expect(asJson.code).toBe(2);
    expect(asJson.host.err).toBe("");
    const document = JSON.parse(asJson.host.out) as { error: { code: string; message: string; hint: string } };
    expect(Object.keys(document)).toEqual(["error"]);
    expect(Object.keys(document.error)).toEqual(["code", "message", "hint"]);
    expect(document.error.code).toBe("USAGE");
    expect(document.error.message).toContain(message);
  });

  it("does not repeat a secret", async () => {
    const { code, host } = await runWith(["--creds", "s3cret", "version"]);
    expect(code).toBe(2);
    expect(host.err).not.toContain("s3cret");
  });
});

describe("errors", () => {
  it.each([
    ["IMAGE_NOT_FOUND", 3],
    ["DENIED", 4],
    ["DIGEST_MISMATCH", 5],
    ["STORE_BUSY", 6],
    ["NO_SPACE", 1],
    ["REFERENCE_INVALID", 2],
  ] as const)("%s exits with %i", async (code, exit) => {
    const rm = () =>
      Promise.reject(new VarveError(code, "what happened\nsecond \u001b[31mline", { hint: "do\u0007 this" }));
    const finished = await runWith(["rm", "a"], { removeImages: rm });
    expect(finished.code).toBe(exit);
    expect(finished.host.err).toBe(
      `varve: ${code}: what happened\\u000asecond \\u001b[31mline\nhint: do\\u0007 this\n`,
    );
    const { host } = await runWith(["rm", "a", "--json"], { removeImages: rm });
    const { error } = JSON.parse(host.out) as { error: { message: string } };
    expect(error.message).toBe("what happened\nsecond \u001b[31mline");
    expect(host.out).not.toContain("\u001b");
    expect(host.err).toBe("");
  });

  it("are coded even when nobody foresaw them, with a stack only for --debug", async () => {
    const services = { listImages: () => Promise.reject(new TypeError("x is not a function")) };
    const { code, host } = await runWith(["images"], services);
    expect(code).toBe(1);
    expect(host.err).toMatch(/^varve: INTERNAL: x is not a function\nhint: .*bug.*\n$/);
    const debug = await runWith(["--debug", "images", "--json"], services);
    expect(debug.host.err).toMatch(/TypeError: x is not a function\n +at /);
    expect(JSON.parse(debug.host.out)).toHaveProperty("error.code", "INTERNAL");
  });

  it("are told where the result cannot be written", async () => {
    const listImages = () => Promise.resolve([]);
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
      syscall: "write",
    });
    for (const args of [["images"], ["images", "--json"], ["images", "--json", "extra"]]) {
      const { code, host } = await runWith(args, { listImages }, { stdoutFailure: full });
      expect(code).toBe(args.includes("extra") ? 2 : 1);
      expect(host.err).toMatch(/^varve: (NO_SPACE: the result could not be printed: ENOSPC|USAGE: ).*\nhint: .*\n$/);
      expect(host.out).toBe("");
    }
  });

  it("that nobody caught end the process with a coded error", async () => {
    const { host } = await runWith(["images"], (_, host) => ({
      listImages() {
        host.crash(new Error("lost promise"));
        return Promise.resolve([]);
      },
    }));
    await Promise.resolve();
    expect(host.exitCode).toBe(1);
    expect(host.err).toContain("varve: INTERNAL: lost promise\n");
  });
});
