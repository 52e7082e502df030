import { describe, expect, it } from "vitest";
import { releaseBuffer, releaseOwn, releaseUpTo } from "./release-buffer.ts";

describe("giving memory back", () => {
  it("takes a buffer that is viewed as a whole, and none that others may still view", () => {
    const whole = new Uint8Array(100);
    const part = new Uint8Array(100).subarray(0, 50);
    releaseBuffer(whole);
    releaseBuffer(part);
    releaseBuffer(part.subarray(0, 0));
    expect([whole.length, part.length]).toEqual([0, 50]);
    releaseBuffer(whole);
  });

  it("takes a buffer that is used up in order with its last view", () => {
    const buffer = new Uint8Array(Buffer.poolSize * 4);
    const [first, last] = [buffer.subarray(0, 60), buffer.subarray(60)];
    releaseUpTo(first);
    expect([first.length, last.length]).toEqual([60, buffer.length - 60]);
    releaseUpTo(last);
    expect([first.length, last.length, buffer.buffer.byteLength]).toEqual([0, 0, 0]);
  });

  it("takes a buffer of which only a part is viewed, when it is told that nobody else views it", () => {
    const part = new Uint8Array(Buffer.poolSize * 4).subarray(0, 50);
    releaseOwn(part);
    expect([part.length, part.buffer.byteLength]).toEqual([0, 0]);
  });

  it("leaves pooled buffers alone", () => {
    const pooled = Buffer.from("a few bytes of the pool");
    const other = Buffer.from("its neighbour");
    releaseBuffer(pooled);
    releaseUpTo(new Uint8Array(pooled.buffer, pooled.byteOffset));
    releaseOwn(pooled);
    expect([pooled.toString(), other.toString()]).toEqual(["a few bytes of the pool", "its neighbour"]);
  });
});
