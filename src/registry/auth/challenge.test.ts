import { assert, property, shuffledSubarray, string } from "fast-check";
import { describe, expect, it } from "vitest";
import { parseChallenges } from "./challenge.ts";
import { mergeScopes, splitScopes } from "./scope.ts";

const plain = (value: string | string[]) =>
  parseChallenges(value).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe("WWW-Authenticate", () => {
  it("is read as registries write it", () => {
    const hub =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"';
    expect(plain(hub)).toEqual([
      [
        "bearer",
        { realm: "https://auth.docker.io/token", service: "registry.docker.io", scope: "repository:a/b:pull,push" },
      ],
    ]);
    expect(plain('BASIC realm="Registry Realm"')).toEqual([["basic", { realm: "Registry Realm" }]]);
  });

  it("may hold several challenges in one header or in several", () => {
    const both = [
      ["bearer", { realm: "https://x/t", service: "s" }],
      ["basic", { realm: "y" }],
      ["negotiate", {}],
    ];
    expect(plain('Bearer realm="https://x/t" , service=s, Basic realm="y", Negotiate')).toEqual(both);
    expect(plain(['Bearer realm="https://x/t",service=s', 'Basic realm="y",Negotiate'])).toEqual(both);
    expect(plain("Negotiate YWJj==, Basic realm=z")).toEqual([
      ["negotiate", {}],
      ["basic", { realm: "z" }],
    ]);
  });

  it("takes escapes, spaces around =, bare URLs, empty values, and the first of a repeated parameter", () => {
    expect(plain('Bearer realm = "a\\"b\\\\c", realm="second", service=""')).toEqual([
      ["bearer", { realm: 'a"b\\c', service: "" }],
    ]);
    expect(plain("Bearer Realm=token,scope=x")).toEqual([["bearer", { realm: "token", scope: "x" }]]);
  });

  it("ends at what cannot be read, and survives anything", () => {
    expect(plain('Bearer realm="unterminated')).toEqual([["bearer", {}]]);
    expect(plain("x".repeat(100_000))).toEqual([]);
    expect(parseChallenges(undefined)).toEqual([]);
    assert(
      property(string({ maxLength: 200 }), (text) => {
        expect(Array.isArray(parseChallenges(text))).toBe(true);
        expect(Array.isArray(parseChallenges(`Bearer ${text}`))).toBe(true);
      }),
    );
  });
});

describe("scopes", () => {
  it("of one resource are joined, sorted, and mean the same in any order", () => {
    const merged = ["registry:catalog:*", "repository:a/b:pull,push", "repository:c:pull"];
    expect(
      mergeScopes(["repository:c:pull", "repository:a/b:push"], ["repository:a/b:pull", "registry:catalog:*"]),
    ).toEqual(merged);
    assert(
      property(shuffledSubarray(merged, { minLength: 3 }), (shuffled) => {
        expect(mergeScopes(shuffled)).toEqual(merged);
        expect(mergeScopes(shuffled, merged)).toEqual(merged);
      }),
    );
  });

  it("are bounded in number and length", () => {
    const many = Array.from({ length: 100 }, (_, index) => `repository:r${index}:pull`);
    expect(mergeScopes(many)).toHaveLength(32);
    expect(mergeScopes([`repository:${"x".repeat(600)}:pull`])).toEqual([]);
    expect(splitScopes(undefined)).toEqual([]);
    expect(splitScopes("a:b:c  d:e:f")).toEqual(["a:b:c", "d:e:f"]);
  });
});
