import type { IncomingMessage } from "node:http";
import { expect, it } from "vitest";
import { checkOrigin, isLoopbackName } from "./origin.ts";
import type { Entrance } from "./visit.ts";

const OPEN: Entrance = { kind: "tcp", isTls: false, isOpen: true };
const KEYED: Entrance = { kind: "tcp", isTls: true, isOpen: false };

function check(headers: IncomingMessage["headers"], method = "POST", entrance = OPEN): () => void {
  return () => checkOrigin({ headers: { host: "127.0.0.1:5000", ...headers }, method } as IncomingMessage, entrance);
}

it("knows names that can only mean this machine", () => {
  for (const name of [
    "localhost",
    "LOCALHOST:80",
    "127.0.0.1",
    "127.9.9.9:1",
    "[::1]:8080",
    "[::1]",
    "varve.localhost:1",
  ]) {
    expect(isLoopbackName(name)).toBe(true);
  }
  for (const name of [
    undefined,
    "",
    "localhost.example",
    "127.0.0.1.example",
    "127.0.0.1:x",
    "[::2]",
    "0.0.0.0",
    "evil.example:5000",
    "1127.0.0.1",
  ]) {
    expect(isLoopbackName(name)).toBe(false);
  }
});

it("refuses names of others where no key is needed", () => {
  expect(check({ host: "evil.example:5000" }, "GET")).toThrow("only for this machine");
  expect(check({ host: "evil.example:5000" }, "GET", KEYED)).not.toThrow();
  expect(check({ host: "localhost:5000" }, "GET")).not.toThrow();
});

it("refuses what pages of other sites send", () => {
  expect(check({ "sec-fetch-site": "cross-site" })).toThrow("another site");
  expect(check({ "sec-fetch-site": "same-site" }, "GET")).toThrow("another site");
  expect(check({ origin: "https://evil.example" })).toThrow("a page of");
  expect(check({ origin: "null" })).toThrow("a page of");
  expect(check({ origin: "http://127.0.0.1:5001" }, "DELETE", KEYED)).toThrow("a page of");
});

it("lets its own page pass, and programs, which say neither", () => {
  expect(check({ "sec-fetch-site": "same-origin", origin: "http://127.0.0.1:5000" })).not.toThrow();
  expect(check({ "sec-fetch-site": "none" }, "GET")).not.toThrow();
  expect(check({})).not.toThrow();
});
