/** Uploads outlive connections and this process, are bounded, and belong to who came last. */
import { request as httpRequest } from "node:http";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { serveStore } from "../../../test/kit/daemon/serve-store.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { callsTo } from "../../../test/kit/net/call.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";
import { Uploads, type UploadsOptions } from "./uploads.ts";

const BYTES = createRng(5).bytes(3_000_000);
const DIGEST = digestOf(BYTES);
const { signal } = new AbortController();

async function uploadsIn(
  options: Omit<UploadsOptions, "directory"> = {},
): Promise<{ directory: string; uploads: Uploads }> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const directory = join(dir.path, "uploads");
  return { directory, uploads: new Uploads({ directory, ...options }) };
}

/** A body that sends this and then hangs until it is destroyed. */
function hanging(bytes: Uint8Array): PassThrough {
  const body = new PassThrough();
  body.write(bytes);
  body.on("error", () => {});
  return body;
}

describe("an upload", () => {
  it("goes on in another process with what is in its file", async () => {
    const { directory, uploads } = await uploadsIn();
    const first = await uploads.start("a", "sha256");
    await first.receive(Readable.from([BYTES.subarray(0, 1_000_000)]), { signal });
    expect(first.size).toBe(1_000_000);

    const later = new Uploads({ directory });
    expect(await later.find("other", first.id)).toBeUndefined();
    const again = (await later.find("a", first.id))!;
    expect(again.size).toBe(1_000_000);
    await again.receive(Readable.from([BYTES.subarray(1_000_000)]), { signal });
    expect(await again.digest("sha256", signal)).toBe(DIGEST);
    expect(await again.digest("sha512", signal)).toBe(digestOf(BYTES, "sha512"));
    await again.discard();
    expect(await readdir(directory)).toEqual(expect.not.arrayContaining([`${first.id}.data`, `${first.id}.json`]));
    expect(await later.find("a", first.id)).toBeUndefined();
  });

  it("keeps what came before its connection broke, and is told of all of it", async () => {
    const { uploads } = await uploadsIn();
    const upload = await uploads.start("a", "sha256");
    const body = hanging(BYTES.subarray(0, 500_000));
    const receiving = upload.turn(signal, (own) => upload.receive(body, { signal: own }));
    const broken = receiving.then(
      () => "whole",
      () => "broken",
    );
    await expect.poll(() => upload.size).toBe(500_000);
    body.write(BYTES.subarray(500_000, 600_000));
    body.destroy();
    expect(await broken).toBe("broken");
    const found = await uploads.find("a", upload.id);
    expect(found?.size).toBeGreaterThanOrEqual(500_000);
    await upload.receive(Readable.from([BYTES.subarray(upload.size)]), { signal });
    expect(await upload.digest("sha256", signal)).toBe(DIGEST);
  });

  it("is taken from a request that hangs by one that comes later", async () => {
    const { uploads } = await uploadsIn();
    const upload = await uploads.start("a", "sha256");
    const hangs = hanging(BYTES.subarray(0, 100));
    const first = upload
      .turn(signal, (own) => upload.receive(hangs, { signal: own }))
      .then(
        () => "whole",
        () => "broken",
      );
    await expect.poll(() => upload.size).toBe(100);
    await upload.turn(signal, (own) => upload.receive(Readable.from([BYTES.subarray(100)]), { signal: own }));
    expect(await first).toBe("broken");
    expect(hangs.destroyed).toBe(true);
    expect(await upload.digest("sha256", signal)).toBe(DIGEST);
  });

  it("takes no more from the line than it can write away", async () => {
    const { uploads } = await uploadsIn();
    const upload = await uploads.start("a", "sha256");
    let given = 0;
    let most = 0;
    const body = Readable.from(
      (function* () {
        for (let count = 0; count < 500; count++) {
          given += 65_536;
          most = Math.max(most, given - upload.size);
          yield Buffer.alloc(65_536);
        }
      })(),
      { objectMode: false, highWaterMark: 65_536 },
    );
    await upload.receive(body, { signal });
    expect(upload.size).toBe(500 * 65_536);
    // A megabyte that waits, one that is being written, and what the stream itself holds.
    expect(most).toBeLessThan(3 << 20);
  });
});

describe("uploads", () => {
  it("are no more than so many, unless nobody is at work on them", async () => {
    let now = 1_000_000;
    const { uploads } = await uploadsIn({ most: 2, now: () => now });
    const [one, two] = [await uploads.start("a", "sha256"), await uploads.start("a", "sha256")];
    await expect(uploads.start("a", "sha256")).rejects.toMatchObject({ status: 429, code: "TOOMANYREQUESTS" });
    now += 5 * 60_000;
    await two.receive(Readable.from([Buffer.from("x")]), { signal });
    await two.turn(signal, async () => {});
    now += 6 * 60_000;
    await uploads.start("a", "sha256");
    expect(await uploads.find("a", one.id)).toBeUndefined();
    expect(await uploads.find("a", two.id)).toBe(two);
    await expect(uploads.start("a", "sha256")).rejects.toMatchObject({ status: 429 });
  });

  it("are given up when nobody came for a day", async () => {
    let now = Date.now();
    const { directory, uploads } = await uploadsIn({ now: () => now });
    const upload = await uploads.start("a", "sha256");
    now += 23 * 3_600_000;
    expect(await uploads.sweep()).toBe(0);
    now += 2 * 3_600_000;
    expect(await uploads.sweep()).toBe(1);
    expect(await uploads.find("a", upload.id)).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
  });
});

describe("over HTTP", () => {
  it("go on after the server was started anew, from where a broken connection left them", async () => {
    const dir = await tempDir();
    onTestFinished(() => dir[Symbol.asyncDispose]());
    let location = "";
    {
      await using served = await serveStore({ root: dir.path });
      location = (await callsTo(() => served.url)("POST", "/v2/a/blobs/uploads/")).headers["location"]!;
      const broken = new Promise<void>((resolve) => {
        const request = httpRequest(`${served.url}${location}`, {
          method: "PATCH",
          headers: { "content-length": BYTES.length },
        });
        request.on("error", () => resolve());
        request.write(BYTES.subarray(0, 1_500_000), () => request.destroy());
        request.on("close", () => resolve());
      });
      await broken;
    }
    await using served = await serveStore({ root: dir.path });
    const call = callsTo(() => served.url);
    const state = await call("GET", location);
    expect(state.status).toBe(204);
    const there = Number(state.headers["range"]?.split("-")[1]) + 1;
    const rest = { "content-range": `${there === 1 ? 0 : there}-${BYTES.length - 1}` };
    const from = there === 1 ? 0 : there;
    const put = await call("PUT", `${location}?digest=${DIGEST}`, rest, BYTES.subarray(from));
    expect(put.status).toBe(201);
    expect((await call("GET", `/v2/a/blobs/${DIGEST}`)).bytes.equals(BYTES)).toBe(true);
    expect(await readdir(join(dir.path, "daemon", "uploads"))).toEqual([]);
    // One file, moved: not a second copy of it.
    expect((await served.store.content.stat(DIGEST))?.size).toBe(BYTES.length);
  });
});
