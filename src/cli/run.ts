/** One run of the program: arguments to a command, the command to data, data or error to the streams and an exit code. */
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Command } from "./command.ts";
import { type CommandLine, readCommandLine, wantsJson, withHelp } from "./command-line.ts";
import type { Host } from "./host.ts";
import { printData, printText, reportError } from "./output.ts";
import { toJson } from "./print/sanitize.ts";
import { formatBytes } from "./print/units.ts";
import { openSession, type Session } from "./progress/session.ts";
import type { Connect } from "./services.ts";
import { resolveSettings } from "./settings.ts";
import { listenForStop, type Stop } from "./stop.ts";

/** Settles with the exit code; everything there was to say has then been written. Never rejects. */
export async function run(host: Host, connect: Connect): Promise<number> {
  const offCrash = host.onCrash((error) => void crash(host, error));
  // From the first moment, so that whoever is stopped while a command is loaded says so as well.
  const stop = listenForStop(host);
  try {
    const line = await readCommandLine(host.args);
    if (line.kind === "run") return await runCommand(host, connect, line, stop);
    await printHelp(host, line.text);
    return 0;
  } catch (error) {
    return await fail(host, error);
  } finally {
    stop.off();
    offCrash();
  }
}

async function runCommand(
  host: Host,
  connect: Connect,
  line: CommandLine & { kind: "run" },
  stop: Stop,
): Promise<number> {
  const { command, args, flags } = line;
  const globals = { ...line.globals, ...command.globalsIn?.(args) };
  const settings = await resolveSettings(globals, host).catch((error: unknown) => {
    throw withHelp(error, line.name);
  });
  const session = await openSession(host, settings, command.showsProgress === true);
  const { logger } = session;
  stop.answerThrough(session);
  try {
    stop.signal.throwIfAborted();
    using _requests = settings.verbosity === "debug" ? await watchRequests(host, session) : undefined;
    await using services = connect(settings, { signal: stop.signal, onProgress: (event) => session.onProgress(event) });
    const terminal = { stdin: host.stdin, show: (text: string) => void host.stderr.write(text) };
    const data = await command.run({ args, flags, settings, services, logger, terminal, signal: stop.signal });
    session.close();
    await printData(command, data, host.stdout, settings);
    return command.exitCode?.(data) ?? 0;
  } catch (error) {
    throw stop.signal.aborted ? interrupted(command, session, error) : withHelp(error, line.name);
  } finally {
    session.close();
  }
}

async function watchRequests(host: Host, { logger }: Session): Promise<Disposable> {
  return (await import("./request-log.ts")).logRequests(logger, () => host.now());
}

/** Whatever failed, it failed because it was told to stop. */
function interrupted(command: Command, session: Session, cause: unknown): VarveError {
  const { done, total } = session.arrived();
  const kept = command.keepsProgress && total > 0 ? `; ${formatBytes(done)} of ${formatBytes(total)} are kept` : "";
  const hint = command.keepsProgress ? {} : { hint: "run the same command again" };
  return new VarveError("INTERRUPTED", `stopped${kept}`, { cause, ...hint });
}

async function printHelp(host: Host, text: string): Promise<void> {
  await printText(host.stdout, wantsJson(host.args) ? `${toJson({ help: text }, 2)}\n` : text);
}

/** What nobody caught: nothing can be relied on any more but the streams. */
async function crash(host: Host, error: unknown): Promise<void> {
  host.exit(await fail(host, error));
}

async function fail(host: Host, error: unknown): Promise<number> {
  const coded = toVarveError(error);
  const debug = host.args.includes("--debug");
  const report = reportError(coded, { json: wantsJson(host.args), debug });
  try {
    if (report.stdout !== "") await host.stdout.write(report.stdout);
    if (report.stderr !== "") await host.stderr.write(report.stderr);
  } catch {
    await host.stderr.write(reportError(coded, { json: false, debug }).stderr);
  }
  return coded.exitCode;
}
