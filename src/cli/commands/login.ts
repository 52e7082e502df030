/** `varve login HOST` */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Call, Command } from "../command.ts";
import type { Credentials } from "../parse-values.ts";
import { promptLine, promptSecret, readSecret } from "../prompt.ts";
import { sanitize } from "../print/sanitize.ts";
import { normalizeRegistryHost } from "../registry-host.ts";

export interface LoginData {
  readonly host: string;
  readonly username: string;
  /** The credential file. */
  readonly file: string;
  /** The helper program that the file names; null when the file itself holds the password. */
  readonly helper: string | null;
  /** Whether the registry asked for the account; else nothing is known about it. */
  readonly checked: boolean;
}

export const loginCommand: Command<LoginData> = {
  arguments: [{ name: "<host>", summary: "the registry: HOST[:PORT]; docker.io for Docker Hub" }],
  flags: [
    { flags: "-u, --username <name>", summary: "asked for on a terminal when left out" },
    { flags: "--password-stdin", summary: "read the password from standard input" },
  ],
  examples: ["varve login -u me ghcr.io", "echo $TOKEN | varve login -u me --password-stdin ghcr.io"],

  async run(call) {
    const host = normalizeRegistryHost(call.args[0] ?? "");
    const credentials = await readCredentials(call, host);
    const { checked } = await call.services.checkLogin(host, credentials).catch((error: unknown) => {
      throw isVarveError(error, "UNAUTHORIZED") ? refused(error, host, credentials) : error;
    });
    if (!checked) call.logger.warn(`${host} asked for no account, so this one could not be checked`);
    const { file, helper = null } = await call.services.storeCredentials(host, credentials);
    if (helper === null) {
      call.logger.warn(
        `the password is kept unencrypted in ${file}; a credential helper (credsStore) would keep it better`,
      );
    }
    return { host, username: credentials.username, file, helper, checked };
  },

  render({ host, username }, { quiet }) {
    return quiet ? "" : `logged in to ${sanitize(host)} as ${sanitize(username)}\n`;
  },
};

/** The registry's own error has "log in" for a hint, which is what was just tried. */
function refused(cause: VarveError, host: string, { username }: Credentials): VarveError {
  return new VarveError("UNAUTHORIZED", `${host} refused the account ${JSON.stringify(username)}: ${cause.message}`, {
    hint: "check the username and the password; some registries want an access token for a password",
    cause,
    detail: cause.detail,
  });
}

/** From `--creds`, else the name from its flag or the terminal and the password from stdin or the terminal. */
async function readCredentials(call: Call, host: string): Promise<Credentials> {
  const { flags, settings } = call;
  const fromFlag = typeof flags["username"] === "string" ? flags["username"] : undefined;
  const fromStdin = flags["passwordStdin"] === true;
  const given = settings.transport.credentials;
  if (given !== undefined) {
    if (fromFlag === undefined && !fromStdin) return given;
    throw new VarveError("USAGE", "--creds goes with neither --username nor --password-stdin");
  }
  if (fromStdin && fromFlag === undefined) throw new VarveError("USAGE", "--password-stdin needs --username");
  const username = fromFlag ?? (await promptLine(call.terminal, `username for ${host}: `, call.signal));
  if (username === "" || username.includes(":")) {
    throw new VarveError("USAGE", username === "" ? "the username is empty" : "a username cannot hold a colon");
  }
  const password = fromStdin
    ? await readSecret(call.terminal, call.signal)
    : await promptSecret(call.terminal, `password for ${username} at ${host}: `, call.signal);
  if (password === "") throw new VarveError("USAGE", "the password is empty");
  return { username, password };
}
