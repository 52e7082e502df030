/** `varve serve` */
import { resolve } from "node:path";
import type { GivenValues } from "../../daemon/config/resolve-config.ts";
import type { Call, Command } from "../command.ts";
import { DELTA_ROOT_FLAGS, deltaRootsOf } from "../delta-flags.ts";
import type { Verbosity } from "../logger.ts";
import { parsePath } from "../parse-values.ts";
import type { Flags } from "../settings.ts";

/** What is known of a daemon at its end. */
export interface ServeData {
  readonly status: "stopped";
  readonly address: string | null;
  readonly socket: string | null;
}

export const serveCommand: Command<ServeData> = {
  arguments: [],
  flags: [
    { flags: "--listen <host:port>", summary: "listen on TCP; port 0 takes any free one", completes: "nothing" },
    {
      flags: "--socket <path>",
      summary:
        "listen on a Unix socket, or on none; default without --listen: /run/varve/varve.sock, of users in $XDG_RUNTIME_DIR",
      completes: "file",
    },
    { flags: "--addr-file <file>", summary: "write HOST:PORT there once it is known", completes: "file" },
    { flags: "--token-file <file>", summary: "tokens for TCP, one a line", completes: "file" },
    { flags: "--no-auth", summary: "TCP without tokens, on loopback only" },
    { flags: "--tls-cert <file>", summary: "certificate for TLS on TCP, PEM", completes: "file" },
    { flags: "--tls-key <file>", summary: "its key, PEM", completes: "file" },
    {
      flags: "--client-ca <file>",
      summary: "authorities of clients' certificates, which need no token, PEM",
      completes: "file",
    },
    {
      flags: "--mirror <host>",
      summary: "a registry to get images from for clients; * for all",
      repeats: true,
      completes: "nothing",
    },
    { flags: "--default-mirror <host>", summary: "the registry that names without one mean", completes: "nothing" },
    { flags: "--allow-push", summary: "let clients push, mount and delete" },
    {
      flags: "--queue <url>",
      summary:
        "where jobs are kept: sqlite in the store (default), or postgres://... for those of deltas and varve worker",
      completes: "nothing",
    },
    ...DELTA_ROOT_FLAGS,
    {
      flags: "--config <file>",
      summary: "the configuration; default: the user's or /etc/varve/varve.toml, if there is one",
      completes: "file",
    },
  ],
  notes: [
    "It runs until SIGTERM or SIGINT, gives answers under way their time and ends with exit code 0; SIGHUP reads the configuration again.",
    "Flags go before variables of the environment (VARVE_LISTEN_ADDRESS ...), and these before the file. docs/daemon.md describes all keys.",
  ],
  examples: [
    "varve serve",
    "varve serve --listen 127.0.0.1:5000 --no-auth --mirror docker.io --default-mirror docker.io",
    "varve serve --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem --token-file tokens --allow-push",
  ],
  runsUntilStopped: true,

  async run({ flags, settings, services, signal, onHangUp }) {
    const { config } = flags;
    const daemon = await services.serve({
      ...(typeof config === "string" && { file: resolve(parsePath("--config", config)) }),
      given: givenBy(flags, settings),
    });
    onHangUp(() => void daemon.reload());
    await aborted(signal);
    await daemon.stop();
    return { status: "stopped", address: daemon.address, socket: daemon.socket };
  },

  // Its log has said so.
  render: () => "",
};

const LEVELS: Readonly<Partial<Record<Verbosity, string>>> = { quiet: "warn", verbose: "info", debug: "debug" };

function givenBy(flags: Flags, settings: Call["settings"]): GivenValues {
  const texts: readonly (readonly [name: string, flag: string, key: string, isPath?: boolean])[] = [
    ["listen", "--listen", "listen.address"],
    ["socket", "--socket", "listen.socket", true],
    ["addrFile", "--addr-file", "listen.addressFile", true],
    ["tokenFile", "--token-file", "listen.tokenFile", true],
    ["tlsCert", "--tls-cert", "listen.tls.certFile", true],
    ["tlsKey", "--tls-key", "listen.tls.keyFile", true],
    ["clientCa", "--client-ca", "listen.tls.clientCaFile", true],
    ["mirror", "--mirror", "mirror.upstreams"],
    ["defaultMirror", "--default-mirror", "mirror.defaultUpstream"],
    ["queue", "--queue", "jobs.queue"],
  ];
  const given: Record<string, { readonly name: string; readonly value: unknown }> = {};
  for (const [name, flag, key, isPath] of texts) {
    const value = flags[name];
    if (value === undefined) continue;
    given[key] = {
      name: flag,
      value: isPath === true && typeof value === "string" && value !== "none" ? resolve(parsePath(flag, value)) : value,
    };
  }
  if (flags["auth"] === false) given["listen.noAuth"] = { name: "--no-auth", value: true };
  if (flags["allowPush"] === true) given["allowPush"] = { name: "--allow-push", value: true };
  const deltaRoots = deltaRootsOf(flags, {});
  if (deltaRoots.length > 0) given["deltaRoots"] = { name: "--delta-root", value: deltaRoots };
  const level = LEVELS[settings.verbosity];
  if (level !== undefined) given["log.level"] = { name: "--quiet, --verbose or --debug", value: level };
  return given;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((settle) => signal.addEventListener("abort", () => settle(), { once: true }));
}
