/** `varve version` */
import { programVersion } from "../../sys/program-version.ts";
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
    return {
      version: await programVersion(),
      node: process.versions.node,
      system: `${process.platform}-${process.arch}`,
    };
  },

  render({ version, node, system }, { verbose }) {
    return `varve ${version}\n${verbose ? `node ${node}\nsystem ${system}\n` : ""}`;
  },
};
