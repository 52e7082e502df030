import { expect, it } from "vitest";
import { clientOf, rateLimits } from "./rate-limits.ts";

it("lets a client ask ten seconds' worth at once, and then as fast as the rate", () => {
  let now = 0;
  const limits = rateLimits(
    () => 2,
    () => now,
  );
  for (let asked = 0; asked < 20; asked++) expect(limits.take("192.0.2.1")).toBe(0);
  expect(limits.take("192.0.2.1")).toBe(1);
  expect(limits.take("192.0.2.2")).toBe(0);
  now += 500;
  expect(limits.take("192.0.2.1")).toBe(0);
  expect(limits.take("192.0.2.1")).toBe(1);
  now += 3_600_000;
  for (let asked = 0; asked < 20; asked++) expect(limits.take("192.0.2.1")).toBe(0);
  expect(limits.take("192.0.2.1")).toBe(1);
});

it("has by default a limit for others and none for this machine", () => {
  const limits = rateLimits(
    () => null,
    () => 0,
  );
  const allowed = (peer: string): number =>
    Array.from({ length: 3000 }, () => limits.take(peer)).filter((wait) => wait === 0).length;
  expect(allowed("127.0.0.1")).toBe(3000);
  expect(allowed("::1")).toBe(3000);
  expect(allowed("::ffff:127.0.0.1")).toBe(3000);
  expect(allowed("192.0.2.1")).toBe(2000);
});

it("can be changed while it counts, also to none", () => {
  let rate = 1;
  const limits = rateLimits(
    () => rate,
    () => 0,
  );
  for (let asked = 0; asked < 10; asked++) limits.take("192.0.2.1");
  expect(limits.take("192.0.2.1")).toBe(1);
  rate = 0;
  expect(limits.take("192.0.2.1")).toBe(0);
});

it("takes an IPv6 network for one client, however its addresses are written", () => {
  const network = "2001:db8:0:0::/64";
  expect(clientOf("2001:db8::1")).toBe(network);
  expect(clientOf("2001:db8:0:0:ffff:1:2:3")).toBe(network);
  expect(clientOf("2001:db8:0:1::1")).not.toBe(network);
  expect(clientOf("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(clientOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
});

it("remembers only so many clients", () => {
  const limits = rateLimits(
    () => 1,
    () => 0,
  );
  for (let asked = 0; asked < 11; asked++) limits.take("192.0.2.1");
  for (let client = 0; client < 10_000; client++) limits.take(`10.0.${client >> 8}.${client & 255}`);
  expect(limits.take("192.0.2.1")).toBe(0);
});
