import { describe, expect, it } from "vitest";
import { parseContentRange } from "../content-range.ts";
import { nextLink } from "../link-header.ts";
import { parseDuration } from "../mirrors/duration.ts";
import { proxyFor } from "./environment-proxy.ts";
import { errorText, sanitize } from "./error-text.ts";
import { isLoopback } from "./loopback.ts";
import { parseRetryAfter } from "./retry-after.ts";

describe("Content-Range", () => {
  it("is taken only in its exact forms", () => {
    expect(parseContentRange("bytes 0-99/1000")).toEqual({ start: 0, end: 100, size: 1000 });
    expect(parseContentRange("bytes 5-5/*")).toEqual({ start: 5, end: 6 });
    expect(parseContentRange("bytes */1000")).toEqual({ size: 1000 });
    for (const wrong of [
      "bytes 9-0/10",
      "bytes 0-10/10",
      "bytes=0-9/10",
      "bytes 0-9",
      "bytes -9/10",
      "",
      "bytes 0-9/1e3",
    ]) {
      expect(parseContentRange(wrong)).toBeUndefined();
    }
    expect(parseContentRange(undefined)).toBeUndefined();
  });
});

describe("Retry-After", () => {
  const now = Date.UTC(2026, 0, 1);
  it("is seconds or an HTTP date", () => {
    expect(parseRetryAfter("120", now)).toBe(120_000);
    expect(parseRetryAfter("Thu, 01 Jan 2026 00:00:30 GMT", now)).toBe(30_000);
    expect(parseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
  });
  it("is nothing when it is neither", () => {
    for (const wrong of ["soon", "-1", "1.5", "2026-01-01", "", undefined])
      expect(parseRetryAfter(wrong, now)).toBeUndefined();
  });
});

describe("a registry's error text", () => {
  it("is its own words, without what steers a terminal, and short", () => {
    expect(errorText('{"errors":[{"code":"DENIED","message":"no"},{"code":"X"}]}')).toBe("DENIED: no; X");
    expect(errorText('{"error":"invalid_grant","error_description":"bad"}')).toBe("invalid_grant: bad");
    expect(errorText("\u001b]0;title\u0007plain\r\ntext\u202e")).toBe("]0;title plain text");
    expect(errorText("<html><body>502</body></html>")).toBeUndefined();
    expect(errorText("")).toBeUndefined();
    expect(errorText("x".repeat(5000))?.length).toBeLessThan(310);
    expect(errorText('"text"')).toBe('"text"');
  });
  it("shows no secret", () => {
    expect(sanitize("token abcdef and abcdef", ["abcdef"])).toBe("token [secret] and [secret]");
  });
});

describe("Link", () => {
  it("gives the target of rel=next, however it is written", () => {
    expect(nextLink('</v2/a/tags/list?n=2&last=b>; rel="next"')).toBe("/v2/a/tags/list?n=2&last=b");
    expect(nextLink("</x>; rel=next")).toBe("/x");
    expect(nextLink('</p>; rel="prev", </x,y>; title="a"; rel="last next"')).toBe("/x,y");
    expect(nextLink(['</p>; rel="prev"', '</n>; rel="NEXT"'])).toBe("/n");
    expect(nextLink('</p>; rel="nextish"')).toBeUndefined();
    expect(nextLink(undefined)).toBeUndefined();
  });
});

describe("a duration of hosts.toml", () => {
  it("is Go's", () => {
    expect([parseDuration("200ms"), parseDuration("1m30s"), parseDuration("1.5s")]).toEqual([200, 90_000, 1500]);
    for (const wrong of ["", "5", "-1s", "0s", "1 s", "1x"]) expect(parseDuration(wrong)).toBeUndefined();
  });
});

describe("loopback", () => {
  it("is localhost, 127.0.0.0/8 and ::1, and nothing that only looks like it", () => {
    for (const host of ["localhost", "LOCALHOST:5000", "127.0.0.1:80", "127.255.0.9", "[::1]:5000", "::1"]) {
      expect(isLoopback(host)).toBe(true);
    }
    for (const host of ["localhost.evil.com", "127.0.0.1.nip.io", "128.0.0.1", "[::2]:1", "notlocalhost"]) {
      expect(isLoopback(host)).toBe(false);
    }
  });
});

const via = (url: string, env: NodeJS.ProcessEnv): string | undefined => proxyFor(new URL(url), env)?.href;

describe("proxies from the environment", () => {
  it("are chosen by scheme, in upper or lower case, with or without a scheme of their own", () => {
    expect(via("https://r.io/", { HTTPS_PROXY: "http://p:1" })).toBe("http://p:1/");
    expect(via("https://r.io/", { https_proxy: "p:1" })).toBe("http://p:1/");
    expect(via("http://r.io/", { HTTPS_PROXY: "http://p:1" })).toBeUndefined();
    expect(via("http://r.io/", { http_proxy: "http://p:1" })).toBe("http://p:1/");
  });

  it("are never used for loopback", () => {
    const env = { HTTP_PROXY: "http://p:1", HTTPS_PROXY: "http://p:1" };
    for (const host of ["localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"]) {
      expect(via(`http://${host}/`, env)).toBeUndefined();
      expect(via(`https://${host}/`, env)).toBeUndefined();
    }
  });

  it("are left out for what NO_PROXY names", () => {
    const cases: [string, string, boolean][] = [
      ["example.com", "https://example.com/", true],
      ["example.com", "https://sub.example.com/", true],
      ["example.com", "https://notexample.com/", false],
      [".example.com", "https://example.com/", false],
      [".example.com", "https://sub.example.com/", true],
      ["*.example.com", "https://sub.example.com/", true],
      ["example.com:8443", "https://example.com:8443/", true],
      ["example.com:8443", "https://example.com/", false],
      ["example.com:443", "https://example.com/", true],
      ["10.0.0.0/8", "https://10.1.2.3/", true],
      ["10.0.0.0/8", "https://11.1.2.3/", false],
      ["10.1.2.3", "https://10.1.2.3:5000/", true],
      ["fd00::/8", "https://[fd00::1]/", true],
      ["[fd00::1]:443", "https://[fd00::1]/", true],
      ["fd00::1", "https://[fd00::1]/", true],
      ["*", "https://anything/", true],
      [" a.com , b.com ", "https://b.com/", true],
      ["EXAMPLE.com", "https://example.COM/", true],
      ["", "https://example.com/", false],
      ["10.0.0.0/99", "https://10.1.2.3/", false],
    ];
    for (const [list, url, bypassed] of cases) {
      expect(via(url, { HTTPS_PROXY: "http://p:1", NO_PROXY: list }) === undefined).toBe(bypassed);
      expect(via(url, { HTTPS_PROXY: "http://p:1", no_proxy: list }) === undefined).toBe(bypassed);
    }
  });

  it("that are wrong are named without their password", () => {
    const env = { HTTPS_PROXY: "ftp://user:hunter22@p" };
    expect(() => via("https://r.io/", env)).toThrow(/HTTPS_PROXY/);
    expect(() => via("https://r.io/", env)).not.toThrow(/hunter22/);
  });
});
