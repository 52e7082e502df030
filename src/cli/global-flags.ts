/** The flags that every command takes, before or after its name. One table: help, completion and settings are made from it. */
import { DECOMPRESSORS } from "../codec/decompressors.ts";
import type { FlagSpec } from "./command.ts";

export const PROGRESS_MODES = ["auto", "tty", "plain", "json", "none"] as const;

export const SNAPSHOTTERS = ["auto", "erofs", "overlay", "copy", "none"] as const;

export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { flags: "--root <dir>", summary: "the store (also VARVE_ROOT)", completes: "directory" },
  { flags: "--json", summary: "exactly one JSON document on stdout" },
  { flags: "--progress <mode>", summary: "how progress is shown on stderr", choices: PROGRESS_MODES },
  { flags: "-q, --quiet", summary: "less on stderr, and results cut to what scripts need" },
  { flags: "-v, --verbose", summary: "more on stderr" },
  { flags: "--debug", summary: "most on stderr, with stack traces" },
  { flags: "-j, --concurrency <n>", summary: "transfers at once; default 4" },
  {
    flags: "--snapshotter <driver>",
    summary:
      "what images are unpacked into (also VARVE_SNAPSHOTTER); none only checks them; default auto, the best that works",
    choices: SNAPSHOTTERS,
  },
  { flags: "--unpack-jobs <n>", summary: "layers unpacked at once; default: one per core" },
  {
    flags: "--decompressor <program>",
    summary:
      "what inflates large gzip layers; auto takes another program only when it is measured to be clearly faster",
    choices: DECOMPRESSORS,
  },
  {
    flags: "--retries <n>",
    summary: "how often a failed request is tried again without progress in between; default 5",
  },
  { flags: "--retry-max-time <seconds>", summary: "how long to go on trying without progress; default 900" },
  { flags: "--limit-rate <bytes>", summary: "bytes per second, with suffix k, M or G" },
  { flags: "--plain-http", summary: "talk HTTP to registries (loopback ones need no flag)" },
  { flags: "--insecure", summary: "do not check certificates, fall back to HTTP" },
  { flags: "--ca-file <file>", summary: "certificate authorities to trust, PEM", completes: "file" },
  { flags: "--cert-file <file>", summary: "client certificate, PEM", completes: "file" },
  { flags: "--key-file <file>", summary: "client key, PEM", completes: "file" },
  { flags: "--authfile <file>", summary: "where credentials are kept", completes: "file" },
  { flags: "--creds <user:pass>", summary: "credentials for this command" },
  { flags: "--hosts-dir <dir>", summary: "mirrors as containerd's hosts.toml", completes: "directory" },
  { flags: "--platform <os/arch[/variant]>", summary: "default: this machine's" },
];
