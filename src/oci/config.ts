/** Image configs, OCI image-spec "config.md", as Docker and buildkit also write them. */
import { VarveError } from "../errors/varve-error.ts";
import { CONFIG_LABEL } from "./delta-names.ts";
import type { Digest } from "./digest.ts";
import { Fields } from "./fields.ts";
import { checkDocument, type Manifest } from "./manifest.ts";
import type { Platform } from "./platform.ts";
import { parseJson } from "./strict-json.ts";

/** The names are the spec's own. What an image leaves out is undefined. */
export interface ContainerDefaults {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  /** As `80/tcp`. */
  readonly ExposedPorts?: readonly string[];
  /** Paths in the container. */
  readonly Volumes?: readonly string[];
  readonly StopSignal?: string;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly createdBy?: string;
  readonly author?: string;
  readonly comment?: string;
  /** True when the step made no layer. */
  readonly emptyLayer: boolean;
}

export interface ImageConfig extends Platform {
  /** Exactly as received; their sha256 is the image ID. */
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly created?: string;
  readonly author?: string;
  /** Digests of the uncompressed layers, lowest first. */
  readonly rootfs: { readonly diffIds: readonly Digest[] };
  readonly history: readonly HistoryEntry[];
  readonly config: ContainerDefaults;
}

export interface ParseImageConfigOptions {
  readonly expected?: { readonly digest?: Digest; readonly size?: number };
}

/** @throws VarveError `MANIFEST_TOO_LARGE`, `SIZE_MISMATCH`, `DIGEST_MISMATCH`, `CONFIG_INVALID` */
export function parseImageConfig(bytes: Uint8Array, options: ParseImageConfigOptions = {}): ImageConfig {
  const digest = checkDocument(bytes, "image config", options.expected);
  const what = `image config ${digest}`;
  const fields = Fields.of(parseJson(bytes, what, { code: "CONFIG_INVALID" }), what, "CONFIG_INVALID");
  const rootfs = fields.object("rootfs");
  const config = containerDefaults(fields.optionalObject("config"));
  const type = rootfs.optionalString("type") ?? "layers";
  if (type !== "layers") rootfs.refuse("type", `is ${JSON.stringify(type.slice(0, 80))}, not "layers"`);
  return {
    bytes,
    digest,
    ...platformOf(fields, config),
    ...texts(fields, { created: "created", author: "author" }),
    // Docker leaves diff_ids out of an image without layers; checkLayers finds the ones that lack them wrongly.
    rootfs: { diffIds: rootfs.raw("diff_ids") === undefined ? [] : rootfs.digests("diff_ids") },
    history: fields.raw("history") === undefined ? [] : fields.objects("history").map(historyEntry),
    config,
  };
}

/**
 * Holds the manifest and the config to each other: one layer for each diff ID.
 *
 * @throws VarveError `MANIFEST_INVALID`
 */
export function checkLayers(manifest: Manifest, config: ImageConfig): void {
  const { length } = config.rootfs.diffIds;
  if (manifest.layers.length === length) return;
  throw new VarveError(
    "MANIFEST_INVALID",
    `manifest ${manifest.digest} has ${manifest.layers.length} layers, but its config ${config.digest} has ${length} diff_ids`,
  );
}

function platformOf(fields: Fields, { Labels = {} }: ContainerDefaults): Platform {
  const osFeatures = fields.optionalStrings("os.features");
  // Delta images are for no machine; the config of their target, in a label, says which it is for.
  const required = (name: string): string =>
    CONFIG_LABEL in Labels ? (fields.optionalString(name) ?? "") : fields.string(name);
  return {
    os: required("os"),
    architecture: required("architecture"),
    ...texts(fields, { variant: "variant", osVersion: "os.version" }),
    ...(osFeatures !== undefined && osFeatures.length > 0 && { osFeatures }),
  };
}

function historyEntry(fields: Fields): HistoryEntry {
  return {
    ...texts(fields, { created: "created", createdBy: "created_by", author: "author", comment: "comment" }),
    emptyLayer: fields.optionalBoolean("empty_layer") ?? false,
  };
}

function containerDefaults(fields: Fields | undefined): ContainerDefaults {
  if (fields === undefined) return {};
  return defined({
    ...texts(fields, { User: "User", WorkingDir: "WorkingDir", StopSignal: "StopSignal" }),
    Env: fields.optionalStrings("Env"),
    Entrypoint: words(fields, "Entrypoint"),
    Cmd: words(fields, "Cmd"),
    Labels: fields.optionalStringMap("Labels"),
    ExposedPorts: fields.optionalNameSet("ExposedPorts"),
    Volumes: fields.optionalNameSet("Volumes"),
  });
}

/** Images of early Docker have one string where the array of words stands now. */
function words(fields: Fields, name: string): string[] | undefined {
  const value = fields.raw(name);
  return typeof value === "string" ? [value] : fields.optionalStrings(name);
}

/** The members that are non-empty strings, under our names. */
function texts<K extends string>(fields: Fields, names: Readonly<Record<K, string>>): { readonly [P in K]?: string } {
  const found: { [P in K]?: string } = {};
  for (const [ours, theirs] of Object.entries<string>(names)) {
    const text = fields.optionalString(theirs);
    if (text !== undefined && text !== "") found[ours as K] = text;
  }
  return found;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
