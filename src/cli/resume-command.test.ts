import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resumeCommand } from "./resume-command.ts";

const PRINT_WORDS = 'varve() { for word; do printf "%s\\0" "$word"; done; }; ';

describe("the command that goes on", () => {
  it.each([
    [["pull", "debian:12"], "varve pull debian:12"],
    [["--root", "/my store", "pull", "a", "-j4"], "varve --root '/my store' pull a -j4"],
    [["pull", "it's"], String.raw`varve pull 'it'\''s'`],
    [["pull", "--creds", "me:secret", "a"], "varve pull a"],
    [["pull", "--creds=me:secret", "a", "--", "--creds"], "varve pull a -- --creds"],
    [["pull", ""], "varve pull ''"],
  ])("of %j is %s", (args, command) => {
    expect(resumeCommand(args).command).toBe(command);
    expect(resumeCommand(args).lacksCredentials).toBe(args.some((arg) => arg.includes("secret")));
  });

  it("is what was given, to a shell", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }).filter((word) => !/\0|^--creds/.test(word))), (args) => {
        const { command } = resumeCommand(args);
        const words = execFileSync("sh", ["-c", PRINT_WORDS + command]).toString("utf8");
        expect(words).toBe(args.map((arg) => `${Buffer.from(arg).toString()}\0`).join(""));
      }),
      { numRuns: 40 },
    );
  });
});
