/** Two tars of the same Debian packages, the last version but one of each and the last, as this machine's package sources have them. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { run, runOk } from "../../test/kit/peers/run.ts";

const PACKAGES =
  "openssl libssl3 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib perl-base nodejs libnode108 libc6 libperl5.36 perl-modules-5.36 " +
  "libexpat1 curl libcurl4 libxml2 git libsystemd0 systemd imagemagick-6-common libmagickcore-6.q16-6";

export interface Pair {
  readonly base: string;
  readonly target: string;
}

/** @param only these of the packages. @throws Error where there is no apt, or no package has two versions */
export async function debianPair(directory: string, only = PACKAGES): Promise<Pair> {
  const [debs, old, fresh] = ["debs", "old", "new"].map((name) => join(directory, name)) as [string, string, string];
  for (const path of [debs, old, fresh]) await mkdir(path);
  let packages = 0;
  for (const name of only.split(" ")) {
    const versions = await versionsOf(name);
    if (versions.length < 2) continue;
    for (const [version, into] of [
      [versions[1]!, old],
      [versions[0]!, fresh],
    ] as const) {
      const before = new Set(await readdir(debs));
      const got = await run("apt-get", ["download", "-qq", `${name}=${version}`], { cwd: debs });
      const [file] = got.code === 0 ? (await readdir(debs)).filter((one) => !before.has(one)) : [];
      if (file === undefined) throw new Error(`${name} ${version} cannot be had: ${got.stderr}`);
      await runOk("dpkg-deb", ["-x", join(debs, file), into]);
    }
    packages += 1;
  }
  if (packages === 0) throw new Error("no package has two versions here: give --base and --target");
  return { base: await pack(old), target: await pack(fresh) };
}

/** The newest first, of Debian's own sources. */
async function versionsOf(name: string): Promise<string[]> {
  const { stdout } = await run("apt-cache", ["madison", name]);
  const rows = stdout
    .toString()
    .split("\n")
    .map((line) => line.split("|").map((field) => field.trim()));
  return [
    ...new Set(rows.filter(([, , source = ""]) => source.includes("debian.org")).map(([, version = ""]) => version)),
  ];
}

/** A directory as the tar beside it, the same for the same files. */
export async function pack(directory: string): Promise<string> {
  const path = `${directory}.tar`;
  await runOk("tar", ["--sort=name", "--owner=0", "--group=0", "--format=gnu", "-C", directory, "-cf", path, "."]);
  return path;
}
