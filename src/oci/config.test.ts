import { describe, expect, it } from "vitest";
import { chainIds } from "./chain-id.ts";
import { checkLayers, parseImageConfig } from "./config.ts";
import { digestOf } from "./digest.ts";
import { parseManifest, type Manifest } from "./manifest.ts";
import { MEDIA_TYPES } from "./media-types.ts";

const [a, b, c] = [digestOf("a"), digestOf("b"), digestOf("c")] as const;
const base = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [a, b] } };
const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

describe("image configs", () => {
  it("reads what Docker writes, nulls and all", () => {
    const bytes = bytesOf({
      ...base,
      variant: "v3",
      created: "2024-01-01T00:00:00Z",
      author: "me",
      container_config: { Env: 1 },
      config: {
        User: "app",
        Env: ["PATH=/bin"],
        Entrypoint: null,
        Cmd: ["sh"],
        Labels: { __proto__x: "y" },
        ExposedPorts: { "80/tcp": {} },
        Volumes: { "/data": {} },
        WorkingDir: "",
        StopSignal: "SIGTERM",
        OnBuild: null,
      },
      history: [{ created_by: "RUN x" }, { created_by: "CMD y", empty_layer: true }],
    });
    expect(parseImageConfig(bytes, { expected: { digest: digestOf(bytes), size: bytes.length } })).toEqual({
      bytes,
      digest: digestOf(bytes),
      os: "linux",
      architecture: "amd64",
      variant: "v3",
      created: "2024-01-01T00:00:00Z",
      author: "me",
      rootfs: { diffIds: [a, b] },
      history: [
        { createdBy: "RUN x", emptyLayer: false },
        { createdBy: "CMD y", emptyLayer: true },
      ],
      config: {
        User: "app",
        Env: ["PATH=/bin"],
        Cmd: ["sh"],
        Labels: { __proto__x: "y" },
        ExposedPorts: ["80/tcp"],
        Volumes: ["/data"],
        StopSignal: "SIGTERM",
      },
    });
  });

  it("asks of a delta between images for no platform, which it has not", () => {
    const config = { Labels: { "io.resin.delta.config": "{}" } };
    const bytes = bytesOf({ config, rootfs: base.rootfs });
    expect(parseImageConfig(bytes)).toMatchObject({ os: "", architecture: "" });
    expect(() => parseImageConfig(bytesOf({ rootfs: base.rootfs }))).toThrow(/os/);
  });

  it("reads the least there can be, and a command of early Docker", () => {
    expect(parseImageConfig(bytesOf({ ...base, rootfs: { type: "layers" } })).rootfs.diffIds).toEqual([]);
    expect(parseImageConfig(bytesOf({ ...base, config: { Cmd: "sh" } })).config).toEqual({ Cmd: ["sh"] });
  });

  it("keeps labels with hostile names as plain members", () => {
    const bytes = Buffer.from(
      JSON.stringify({ ...base, config: { Labels: {} } }).replace('"Labels":{}', '"Labels":{"__proto__":"x"}'),
    );
    expect(Object.entries(parseImageConfig(bytes).config.Labels ?? {})).toEqual([["__proto__", "x"]]);
  });

  it.each([
    ["no os", { ...base, os: undefined }],
    ["no architecture", { ...base, architecture: "" }],
    ["no rootfs", { ...base, rootfs: undefined }],
    ["another rootfs", { ...base, rootfs: { type: "base", diff_ids: [] } }],
    ["a bad diff ID", { ...base, rootfs: { type: "layers", diff_ids: ["sha256:x"] } }],
    ["diff IDs that are an object", { ...base, rootfs: { type: "layers", diff_ids: {} } }],
    ["an environment of numbers", { ...base, config: { Env: [1] } }],
    ["a list", []],
    ["history of texts", { ...base, history: ["x"] }],
  ])("refuses %s", (_, config) => {
    expect(() => parseImageConfig(bytesOf(config))).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });

  it("wants one layer for each diff ID", () => {
    const descriptor = { mediaType: MEDIA_TYPES.ociLayer, digest: a, size: 1 };
    const bytes = bytesOf({ schemaVersion: 2, config: descriptor, layers: [descriptor] });
    const manifest = parseManifest(bytes) as Manifest;
    expect(() => checkLayers(manifest, parseImageConfig(bytesOf(base)))).toThrow(
      expect.objectContaining({ code: "MANIFEST_INVALID", message: expect.stringContaining("1 layers") }),
    );
    checkLayers(manifest, parseImageConfig(bytesOf({ ...base, rootfs: { type: "layers", diff_ids: [a] } })));
  });
});

describe("chain IDs", () => {
  it("are those of the spec", () => {
    expect(chainIds([])).toEqual([]);
    const second = digestOf(`${a} ${b}`);
    expect(chainIds([a, b, c])).toEqual([a, second, digestOf(`${second} ${c}`)]);
  });
});
