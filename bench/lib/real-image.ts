/**
 * A real image of about a gigabyte compressed and a hundred thousand files: Debian with packages people run, and a tree of npm
 * packages, built by buildah and pushed to a docker-registry on loopback for the time of the benchmark.
 * Needs root, buildah, debootstrap, npm and docker-registry, and the package sources that they are configured for.
 */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startDockerRegistry } from "../../test/kit/peers/docker-registry.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";

const HOURS = 3_600_000;

/** One layer each. */
const PACKAGE_SETS = [
  "ca-certificates curl git openssl procps openssh-client gnupg libcap2-bin",
  "python3 python3-numpy python3-scipy python3-pandas",
  "openjdk-17-jre-headless",
  "chromium fonts-liberation",
  "postgresql-15",
  "libreoffice-writer-nogui",
];

const NPM_PACKAGES = [
  "typescript",
  "next",
  "@mui/icons-material",
  "@mui/material",
  "date-fns",
  "rxjs",
  "eslint",
  "webpack",
  "@aws-sdk/client-s3",
];

function dockerfile(): string {
  const install = PACKAGE_SETS.map(
    (set) => `RUN apt-get -q update && apt-get -qy install ${set} && apt-get clean && rm -rf /var/lib/apt/lists/*`,
  );
  return [
    "FROM scratch",
    "ADD base.tar /",
    "ENV DEBIAN_FRONTEND=noninteractive PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'CMD ["/bin/bash"]',
    ...install,
    "RUN useradd -m -u 10001 app && rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/info/*",
    "COPY --chown=10001:10001 npm /srv/app",
    "RUN setcap cap_net_bind_service+ep /usr/bin/python3.11 && ln -s /srv/app /srv/current",
    "",
  ].join("\n");
}

/** Builds the image, serves it, and takes everything away when `use` has ended. */
export async function withRealImage(use: (image: string) => Promise<void>): Promise<void> {
  await using dir = await tempDir("varve-real-image-");
  await using registry = await startDockerRegistry();
  const image = `${registry.host}/bench/app:v1`;
  const context = join(dir.path, "context");
  await mkdir(join(context, "npm"), { recursive: true });

  console.log("building a real image; this takes about a quarter of an hour");
  const base = join(dir.path, "base");
  await runOk("debootstrap", ["--variant=minbase", "bookworm", base], { timeoutMs: HOURS });
  await copyFile("/etc/resolv.conf", join(base, "etc/resolv.conf"));
  await writeFile(join(base, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  await runOk("tar", ["--numeric-owner", "--xattrs", "-C", base, "-cf", join(context, "base.tar"), "."], {
    timeoutMs: HOURS,
  });
  await writeFile(join(context, "npm/package.json"), '{"name":"app","private":true}');
  await runOk("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", ...NPM_PACKAGES], {
    cwd: join(context, "npm"),
    timeoutMs: HOURS,
  });
  await writeFile(join(context, "Dockerfile"), dockerfile());

  const buildah = (...args: string[]) =>
    runOk("buildah", ["--root", join(dir.path, "storage"), "--runroot", join(dir.path, "run"), ...args], {
      env: { BUILDAH_ISOLATION: "chroot", STORAGE_DRIVER: "overlay" },
      timeoutMs: HOURS,
    });
  try {
    await buildah("bud", "--layers", "--format", "oci", "--network", "host", "-t", "app", context);
    await buildah("push", "--tls-verify=false", "--compression-format", "gzip", "app", `docker://${image}`);
    await use(image);
  } finally {
    await buildah("rmi", "--all", "--force");
  }
}
