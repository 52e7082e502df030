#!/usr/bin/env node
// Starts varve: from its source in a checkout, from dist/ when installed. This file must run on any Node that knows modules,
// because it is the one that says that a newer Node is needed; in a checkout it finds that Node among the dev dependencies.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants, homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const NEEDED = [26, 10];

const here = fileURLToPath(new URL("..", import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);

if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) await start();
else startWithOwnNode();

async function start() {
  // Started by startWithOwnNode: the channel closes when that process dies, also when it is killed outright.
  if (process.env.VARVE_OWN_NODE !== undefined && process.channel) {
    process.channel.unref();
    process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
  }
  keepCompiled();
  nameModulesExactly();
  // Node strips types nowhere below node_modules, so an installed package runs what was built.
  const fromSource = existsSync(join(here, "src", "main.ts")) && !here.includes("node_modules");
  const { main } = await import(fromSource ? "../src/main.ts" : "../dist/main.js");
  await main();
}

/** A user's own cache: Node's default lies in a directory that others can write, and what is in it is run. */
function keepCompiled() {
  const { XDG_CACHE_HOME: cache } = process.env;
  try {
    module.enableCompileCache(join(cache?.startsWith("/") ? cache : join(homedir(), ".cache"), "varve", "compile"));
  } catch {
    // Without a home there is no cache, and the start takes a little longer.
  }
}

/**
 * Our modules import each other by the files they lie in, so there is nothing to resolve. Node would look for each on the disk, follow
 * links and read what package it belongs to, which takes as long as loading it.
 */
function nameModulesExactly() {
  const root = new URL("..", import.meta.url).href;
  const folders = [`${root}src/`, `${root}dist/`];
  module.registerHooks({
    resolve(specifier, context, next) {
      const { parentURL: parent = "" } = context;
      const isOurs = /^\.\.?\//.test(specifier) && folders.some((folder) => parent.startsWith(folder));
      if (!isOurs) return next(specifier, context);
      const format = specifier.endsWith(".ts") ? "module-typescript" : "module";
      return { url: new URL(specifier, parent).href, format, shortCircuit: true };
    },
  });
}

/** Another process, as Node 20 cannot replace itself. Signals are passed on, and neither outlives the other. */
function startWithOwnNode() {
  const node = join(here, "node_modules", ".bin", "node");
  if (process.env.VARVE_OWN_NODE === node || !existsSync(node)) {
    console.error(
      `varve: needs Node ${NEEDED.join(".")} or newer, this is ${process.versions.node} (${process.execPath})`,
    );
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, process.argv.slice(1), {
    stdio: ["inherit", "inherit", "inherit", ...handedOver(), "ipc"],
    env: { ...process.env, VARVE_OWN_NODE: node },
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`varve: cannot start ${node}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    // As shells tell of a death by signal.
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

/** Sockets that systemd has opened for this process (sd_listen_fds(3)); the daemon finds them under the same numbers. */
function handedOver() {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = process.env;
  if (Number(pid) !== process.pid || !/^\d{1,2}$/.test(count ?? "")) return [];
  return Array.from({ length: Number(count) }, (_, at) => 3 + at);
}
