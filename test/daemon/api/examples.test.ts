/** The examples of docs/api.md do what stands below each of them, typed into a shell as they are. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { filledDaemon } from "../../kit/daemon/filled-daemon.ts";
import { findPeer } from "../../kit/peers.ts";
import { tempDir } from "../../kit/temp-dir.ts";

const run = promisify(execFile);
const curl = findPeer("curl");
const DOCS = new URL("../../../docs/api.md", import.meta.url);

interface Example {
  readonly command: string;
  readonly status: number;
  /** `KEY`, `KEY=VALUE` with dots between keys; or text that the answer has. */
  readonly has: readonly string[];
  readonly text: string;
}

async function examples(): Promise<readonly Example[]> {
  const blocks = (await readFile(DOCS, "utf8")).matchAll(/^```sh\n(curl .*)\n# (\d{3})(?: (.*))?\n```$/gm);
  return [...blocks].map(([, command = "", status, text = ""]) => {
    return { command, status: Number(status), has: text.split(" ").filter(Boolean), text };
  });
}

function valueAt(json: unknown, key: string): unknown {
  return key.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], json);
}

function mustHave(body: string, { has, text, command }: Example): void {
  if (text.includes(": ")) {
    expect(body).toContain(text);
    return;
  }
  const json = body === "" ? {} : (JSON.parse(body) as unknown);
  for (const one of has) {
    const [key = "", value] = one.split("=", 2);
    const found = valueAt(json, key);
    expect([command, key, found === undefined]).toEqual([command, key, false]);
    if (value !== undefined) expect([value, JSON.stringify(value)]).toContain(JSON.stringify(found));
  }
}

describe.skipIf(curl === undefined)("docs/api.md", () => {
  it.each(["TCP", "a Unix socket"])("has examples that work over %s", async (way) => {
    const dir = await tempDir();
    onTestFinished(() => dir[Symbol.asyncDispose]());
    const socket = join(dir.path, "varve.sock");
    const { daemon, names } = await filledDaemon({ has: ["app"], config: { listen: { socket } } });
    const place = way === "TCP" ? daemon.origin : `--unix-socket ${socket} http://localhost`;
    const env: Record<string, string> = {
      PATH: process.env["PATH"] ?? "",
      VARVE: place,
      IMAGE: names.base,
      NAME: encodeURIComponent(names.base),
    };
    const found = await examples();
    expect(found.length).toBeGreaterThan(20);
    for (const example of found) {
      // What asks for a job is followed by what asks about it. A quoted place with blanks would be one word to the shell.
      const unquoted = example.command.replaceAll(/"\$VARVE([^"]*)"/g, '$VARVE"$1"');
      const { stdout } = await run("sh", ["-c", `${unquoted} -w '\\n%{http_code}'`], { env });
      const end = stdout.lastIndexOf("\n");
      const [body, status] = [stdout.slice(0, end), stdout.slice(end + 1)];
      expect([example.command, status, status === String(example.status) ? "" : body]).toEqual([
        example.command,
        String(example.status),
        "",
      ]);
      mustHave(body, example);
      if (example.status === 202) env["JOB"] = (JSON.parse(body) as { id: string }).id;
    }
  });
});
