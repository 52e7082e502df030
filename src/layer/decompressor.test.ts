/** Layers inflated by other programs come out the same, and what those would let pass is not taken on their word. */
import { randomBytes } from "node:crypto";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { findPeer } from "../../test/kit/peers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { gunzipWith } from "../codec/gunzip-program.ts";
import { Digester, digestOf } from "../oci/digest.ts";
import { chooseGunzip } from "./decompressor.ts";

const { signal } = new AbortController();
const DATA = Buffer.concat([randomBytes(1_500_000), Buffer.alloc(1_000_000, "text ")]);
const LARGE = 1 << 30;

async function* pieces(bytes: Uint8Array, size = 400_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function digestOfAll(source: AsyncIterable<Uint8Array>): Promise<string> {
  const digester = new Digester();
  for await (const piece of source) digester.update(piece);
  return digester.digest();
}

describe.each(["gzip", "igzip", "pigz"] as const)("%s", (name) => {
  const path = findPeer(name);
  const inflate = (bytes: Uint8Array, given = signal) =>
    gunzipWith({ path: path ?? "", args: ["-dc"] }, pieces(bytes), given);

  it.skipIf(path === undefined)("inflates what is one member, and nothing else is believed", async () => {
    const one = gzipSync(DATA);
    expect(await digestOfAll(inflate(one))).toBe(digestOf(DATA));
    const doubtful = [
      Buffer.concat([one, gzipSync("more")]),
      Buffer.concat([one, Buffer.from("junk behind it")]),
      Buffer.concat([one, Buffer.alloc(512)]),
      one.subarray(0, -5),
      one.subarray(0, 1_000_000),
      Buffer.from("no gzip at all"),
    ];
    for (const bytes of doubtful) {
      await expect(digestOfAll(inflate(bytes))).rejects.toMatchObject({ code: "DECOMPRESSOR_FAILED" });
    }
  });

  it.skipIf(path === undefined)("may be left or stopped at any time", async () => {
    for await (const piece of inflate(gzipSync(DATA))) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _piece of inflate(gzipSync(DATA), stop.signal)) stop.abort(new Error("enough"));
    })();
    await expect(reading).rejects.toThrow("enough");
  });
});

describe("another program", () => {
  it("passes on what its source fails with", async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield gzipSync(DATA).subarray(0, 100_000);
      throw new Error("the network is gone");
    }
    const path = findPeer("gzip");
    if (path === undefined) return;
    await expect(digestOfAll(gunzipWith({ path, args: ["-dc"] }, failing()))).rejects.toThrow("the network is gone");
  });

  it("says so when it cannot be run", async () => {
    const reading = digestOfAll(gunzipWith({ path: "/nonexistent/gunzip", args: [] }, pieces(gzipSync(DATA))));
    await expect(reading).rejects.toMatchObject({
      code: "DECOMPRESSOR_FAILED",
      message: expect.stringMatching(/ENOENT/),
    });
  });
});

describe("the choice", () => {
  it("is the decoder that is built in for small layers, and an error for a program that is not there", () => {
    expect(chooseGunzip("builtin", LARGE, { signal })).toBeUndefined();
    expect(chooseGunzip("auto", 1000, { signal })).toBeUndefined();
    expect(chooseGunzip("auto", LARGE, { signal, env: { PATH: "/nonexistent" } })).toBeUndefined();
    expect(() => chooseGunzip("rapidgzip", 1000, { signal, env: { PATH: "" } })).toThrow("not on the PATH");
  });

  it("takes no program that is slower or broken, and loses no byte in finding out", async () => {
    await using dir = await tempDir();
    for (const [name, script] of Object.entries({ igzip: "exit 1", pigz: "cat >/dev/null; sleep 0.3; echo x" })) {
      await writeFile(join(dir.path, name), `#!/bin/sh\n${script}\n`);
      await chmod(join(dir.path, name), 0o755);
    }
    const env = { PATH: `${dir.path}:${process.env["PATH"] ?? ""}` };
    const large = Buffer.concat([DATA, randomBytes(5_000_000)]);
    for (let round = 0; round < 2; round++) {
      const gunzip = chooseGunzip("auto", LARGE, { signal, env });
      if (gunzip === undefined) expect(round).toBe(1);
      else expect(await digestOfAll(gunzip(pieces(gzipSync(large, { level: 1 }))))).toBe(digestOf(large));
    }
  });
});
