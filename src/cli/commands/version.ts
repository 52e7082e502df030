/** `varve version` */
import { readFile } from "node:fs/promises";
import type { Command } from "../command.ts";

export interface VersionData {
  readonly version: string;
  /** Of Node. */
  readonly node: string;
  /** As Node names it: `linux-x64`. */
  readonly system: string;
}

export const versionCommand: Command<VersionData> = {
  arguments: [],
  flags: [],

  async run() {
    // Three levels up both from src/cli/commands and from dist/cli/commands.
    const manifest = JSON.parse(await readFile(new URL("../../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    return { version: manifest.version, node: process.versions.node, system: `${process.platform}-${process.arch}` };
  },

  render({ version, node, system }, { verbose }) {
    return `varve ${version}\n${verbose ? `node ${node}\nsystem ${system}\n` : ""}`;
  },
};
