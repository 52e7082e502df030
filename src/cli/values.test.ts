/** What flags and names turn into, and how figures read. */
import { describe, expect, it } from "vitest";
import { FakeHost, type FakeHostOptions } from "./host.suite.ts";
import { parseCount, parseCredentials, parseRate, parseSeconds } from "./parse-values.ts";
import { formatTable } from "./print/table.ts";
import { formatAge, formatBytes, formatDuration, formatEta } from "./print/units.ts";
import { cellWidth, fit } from "./print/width.ts";
import { normalizeRegistryHost } from "./registry-host.ts";
import { type Flags, resolveRoot, resolveSettings, type Settings } from "./settings.ts";

describe("values of flags", () => {
  it.each([
    ["500", 500],
    ["1k", 1024],
    ["2M", 2 * 1024 ** 2],
    ["1.5G", 1.5 * 1024 ** 3],
    ["10K", 10_240],
  ])("--limit-rate %s is %i bytes per second", (text, rate) => expect(parseRate("--limit-rate", text)).toBe(rate));

  it.each(["", "0", "-1", "1T", "k", "1e9", "0.5", "1 M", "99999999999999G"])("--limit-rate refuses %j", (text) => {
    expect(() => parseRate("--limit-rate", text)).toThrow(/--limit-rate takes bytes per second/);
  });

  it("takes seconds with decimals, and whole counts", () => {
    expect(parseSeconds("--retry-max-time", "90")).toBe(90_000);
    expect(parseSeconds("--retry-max-time", "0.25")).toBe(250);
    expect(() => parseSeconds("--retry-max-time", "5m")).toThrow(/takes seconds/);
    expect(parseCount("-j", "8", 1, 256)).toBe(8);
    for (const text of ["0", "257", "1.5", "-3", "x", "0x10", ""])
      expect(() => parseCount("-j", text, 1, 256)).toThrow("takes a whole number");
  });

  it("takes credentials whose password holds colons", () => {
    expect(parseCredentials("--creds", "me:a:b:")).toEqual({ username: "me", password: "a:b:" });
    for (const text of ["me", ":x", "me:", ""]) expect(() => parseCredentials("--creds", text)).toThrow("USER:PASS");
  });
});

describe("the store's place", () => {
  it.each([
    [undefined, { VARVE_ROOT: "/env", XDG_DATA_HOME: "/data" }, 1000, "/env"],
    ["/flag", { VARVE_ROOT: "/env" }, 0, "/flag"],
    [undefined, { XDG_DATA_HOME: "/data", HOME: "/home/me" }, 0, "/var/lib/varve"],
    [undefined, { XDG_DATA_HOME: "/data", HOME: "/home/me" }, 1000, "/data/varve"],
    [undefined, { XDG_DATA_HOME: "relative", HOME: "/home/me" }, 1000, "/home/me/.local/share/varve"],
    [undefined, { VARVE_ROOT: "", HOME: "/home/me" }, 1000, "/home/me/.local/share/varve"],
  ])("flag %s, environment %j, user %i: %s", (flag, env, user, root) => {
    expect(resolveRoot(flag, env, user)).toBe(root);
  });

  it("is made absolute", () => expect(resolveRoot("store", {}, 0)).toBe(`${process.cwd()}/store`));
});

function settings(flags: Flags, options: FakeHostOptions = {}): Promise<Settings> {
  return resolveSettings(flags, new FakeHost(options));
}

describe("settings", () => {
  const terminal = { columns: 80, rows: 24 };

  it("choose the display by what stderr is", async () => {
    expect((await settings({})).progress).toBe("plain");
    expect((await settings({}, { terminal, env: { TERM: "xterm" } })).progress).toBe("tty");
    expect((await settings({}, { terminal, env: { TERM: "dumb" } })).progress).toBe("plain");
    expect((await settings({ quiet: true }, { terminal })).progress).toBe("none");
    expect((await settings({ quiet: true, progress: "json" })).progress).toBe("json");
    expect((await settings({ progress: "tty" })).progress).toBe("tty");
  });

  it("name directories of mirrors that are there", async () => {
    for (const hostsDir of ["/nowhere/at/all", "/:nowhere", "package.json", "package.json/below"]) {
      await expect(settings({ hostsDir })).rejects.toMatchObject({ code: "USAGE", message: /--hosts-dir .* is none$/ });
    }
  });

  it("carry what the transport needs and no more", async () => {
    expect((await settings({})).transport).toEqual({});
    const flags = {
      plainHttp: true,
      insecure: true,
      caFile: "/ca",
      certFile: "/cert",
      keyFile: "/key",
      authfile: "/auth",
      hostsDir: "/:src",
      creds: "u:p",
      retries: "7",
      retryMaxTime: "2",
      limitRate: "1k",
    };
    expect((await settings(flags)).transport).toEqual({
      plainHttp: true,
      insecure: true,
      caFile: "/ca",
      certFile: "/cert",
      keyFile: "/key",
      authFile: "/auth",
      hostsDir: `/:${process.cwd()}/src`,
      credentials: { username: "u", password: "p" },
      retries: 7,
      retryMaxTimeMs: 2000,
      limitRate: 1024,
    });
  });
});

describe("registries to log in to", () => {
  it.each([
    ["ghcr.io", "ghcr.io"],
    ["https://GHCR.io/", "ghcr.io"],
    ["localhost:5000", "localhost:5000"],
    ["http://127.0.0.1:5000/v2/", "127.0.0.1:5000"],
    ["[::1]:5000", "[::1]:5000"],
    ["https://index.docker.io/v1/", "docker.io"],
    ["registry-1.docker.io", "docker.io"],
  ])("%s is %s", (text, host) => expect(normalizeRegistryHost(text)).toBe(host));

  it.each(["", "https://", "ghcr.io/org/app", "user@host", "host:0", "host:99999", "a..b", "host:port", "a b", "-x"])(
    "%j is none",
    (text) => expect(() => normalizeRegistryHost(text)).toThrow(expect.objectContaining({ code: "USAGE" })),
  );

  it("is not told with the password that stood in it", () => {
    for (const text of ["https://me:s3cret@registry.example", "me:s3cret@registry.example/v2/"]) {
      expect(() => normalizeRegistryHost(text)).toThrow("a registry's name holds no user and password");
    }
  });
});

describe("figures", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [999_499, "999 kB"],
    [999_500, "1.00 MB"],
    [9_994_999, "9.99 MB"],
    [9_995_000, "10.0 MB"],
    [48_200_000, "48.2 MB"],
    [999_400_000, "999 MB"],
    [999_500_000, "1.00 GB"],
    [7.5e18, "7500 PB"],
  ])("%i bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it("are short for durations", () => {
    expect([0, 59_949, 59_950, 245_000, 7_380_000, 446_400_000].map(formatDuration)).toEqual([
      "0.0 s",
      "59.9 s",
      "1m00s",
      "4m05s",
      "2h03m",
      "5d04h",
    ]);
    expect([0, 59.4, 59.5, 1e12].map(formatEta)).toEqual(["0s", "59s", "1m00s", "long"]);
  });

  it("tell ages", () => {
    const now = Date.parse("2026-03-10T12:00:00Z");
    const ages = [
      null,
      "nonsense",
      "1970-01-01T00:00:00Z",
      "2026-03-10T11:59:30Z",
      "2026-03-10T10:59:00Z",
      "2026-03-01T00:00:00Z",
    ];
    expect(ages.map((time) => formatAge(time, now))).toEqual([
      "unknown",
      "unknown",
      "unknown",
      "just now",
      "1 hour ago",
      "1 week ago",
    ]);
  });
});

describe("tables", () => {
  it("align by what a terminal shows, numbers to the right, and stay one line a row", () => {
    const rows = [
      { name: "層", size: 5 },
      { name: "é\u0301a\nb", size: 1234 },
    ];
    const table = formatTable(
      [
        { title: "NAME", value: (row) => row.name },
        { title: "SIZE", value: (row) => String(row.size), align: "right" },
      ],
      rows,
    );
    expect(table).toBe("NAME       SIZE\n層            5\né\u0301a\\u000ab  1234\n");
  });

  it("measure and cut by cells", () => {
    expect(cellWidth("a層e\u0301😀")).toBe(6);
    expect([fit("abcdef", 6), fit("abcdef", 4), fit("層層層", 4), fit("abc", 0)]).toEqual([
      "abcdef",
      "ab..",
      "層..",
      "",
    ]);
  });
});
