// Adds to package-lock.json the optional platform packages that a registry mirror does not carry.
// `npm install` drops such entries from the lock, and `npm ci` then refuses the lock as out of sync, although the
// packages are for other platforms and are never installed. The entries name version, os and cpu, nothing else.
// Run it after every `npm install` that changes dependencies: node tools/complete-lock.mjs
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const cpus = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32"];
let added = 0;
for (const [owner, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (owner === "" || lock.packages[key] !== undefined || !/^\d+\.\d+\.\d+/.test(version)) continue;
    const words = name.split(/[/_-]/);
    const os = systems.filter((system) => words.includes(system));
    const cpu = cpus.filter((arch) => words.includes(arch));
    lock.packages[key] = {
      version,
      ...(cpu.length > 0 && { cpu }),
      ...(entry.dev && { dev: true }),
      optional: true,
      ...(os.length > 0 && { os }),
    };
    added++;
  }
}
const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
writeFileSync(file, JSON.stringify({ ...lock, packages: sorted }, null, 2) + "\n");
console.log(`${added} added`);
