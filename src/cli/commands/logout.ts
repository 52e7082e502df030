/** `varve logout HOST` */
import type { Command } from "../command.ts";
import { sanitize } from "../print/sanitize.ts";
import { normalizeRegistryHost } from "../registry-host.ts";

export interface LogoutData {
  readonly host: string;
  /** False when there was nothing to forget. */
  readonly erased: boolean;
}

export const logoutCommand: Command<LogoutData> = {
  arguments: [{ name: "<host>", summary: "the registry: HOST[:PORT]; docker.io for Docker Hub" }],
  flags: [],

  async run({ args, services }) {
    const host = normalizeRegistryHost(args[0] ?? "");
    const places = await services.eraseCredentials(host);
    return { host, erased: places.length > 0 };
  },

  render({ host, erased }, { quiet }) {
    if (quiet) return "";
    return erased ? `logged out of ${sanitize(host)}\n` : `there were no credentials for ${sanitize(host)}\n`;
  },
};
