/** The `config.json` of a bundle: the image's config, with its user looked up in the root filesystem that was just made. */
import { readFileBelow } from "../layer/read-below.ts";
import type { ImageConfig } from "../oci/config.ts";
import { runtimeConfig, type RuntimeConfig } from "../oci/runtime-config.ts";
import { resolveUser } from "../oci/user.ts";

/** Bytes of a user database that is believed to be one. */
const MAX_DATABASE = 8 << 20;

export async function bundleConfig(config: ImageConfig, rootfs: string): Promise<RuntimeConfig> {
  const text = async (path: string): Promise<string> =>
    Buffer.from((await readFileBelow(rootfs, path, MAX_DATABASE)) ?? []).toString("utf8");
  const user = resolveUser(config.config.User ?? "", await text("etc/passwd"), await text("etc/group"));
  const hostUid = process.geteuid?.() ?? 0;
  const hostGid = process.getegid?.() ?? 0;
  return runtimeConfig(config, { ...user, ...(hostUid !== 0 && { rootless: { hostUid, hostGid } }) });
}
