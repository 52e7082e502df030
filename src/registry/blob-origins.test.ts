import { describe, expect, it } from "vitest";
import { NO_HOME } from "../../test/kit/http/test-client.ts";
import { digestOf } from "../oci/digest.ts";
import { BlobOrigins } from "./blob-origins.ts";
import { directEndpoint, type Endpoint } from "./endpoint.ts";
import { resolveSettings } from "./options.ts";

const settings = resolveSettings({ env: NO_HOME });
const endpoint = (host: string, upstream = false): Endpoint => directEndpoint(host, "app", settings, { upstream });
const CHAIN = [endpoint("a.example"), endpoint("b.example"), endpoint("r.example", true)];
const [A, B, R] = CHAIN as [Endpoint, Endpoint, Endpoint];
const DIGEST = digestOf("blob");

const hosts = (endpoints: readonly Endpoint[]): string[] => endpoints.map(({ host }) => host[0] ?? "");

describe("the order in which endpoints are asked for a blob", () => {
  it("is the usual one as long as nothing came out wrong", () => {
    const origins = new BlobOrigins();
    expect(origins.order(CHAIN, DIGEST)).toBe(CHAIN);
    origins.gave(A, DIGEST);
    expect(origins.order(CHAIN, DIGEST)).toBe(CHAIN);
    origins.distrust(digestOf("another"));
    expect(origins.order(CHAIN, DIGEST)).toBe(CHAIN);
  });

  it("begins with the registry and ends with those who gave bytes that came out wrong", () => {
    const origins = new BlobOrigins();
    origins.gave(A, DIGEST);
    origins.distrust(DIGEST);
    expect(hosts(origins.order(CHAIN, DIGEST))).toEqual(["r", "b", "a"]);
    expect(origins.order(CHAIN, digestOf("another"))).toBe(CHAIN);
    origins.gave(R, DIGEST);
    origins.distrust(DIGEST);
    expect(hosts(origins.order(CHAIN, DIGEST))).toEqual(["b", "a", "r"]);
    origins.gave(B, DIGEST);
    origins.distrust(DIGEST);
    expect(hosts(origins.order(CHAIN, DIGEST))).toEqual(["a", "b", "r"]);
  });

  it("is remembered for many blobs, and not for all there ever were", () => {
    const origins = new BlobOrigins();
    for (let at = 0; at < 1500; at++) {
      origins.gave(A, digestOf(`${at}`));
      origins.distrust(digestOf(`${at}`));
    }
    expect(origins.order(CHAIN, digestOf("0"))).toBe(CHAIN);
    expect(hosts(origins.order(CHAIN, digestOf("1499")))).toEqual(["r", "b", "a"]);
  });
});
