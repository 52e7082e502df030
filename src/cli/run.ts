/** One run of the program: arguments to a command, the command to data, data or error to the streams and an exit code. */
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Command } from "./command.ts";
import { type CommandLine, readCommandLine, wantsJson, withHelp } from "./command-line.ts";
import type { Host } from "./host.ts";
import { printData, printText, reportError } from "./output.ts";
import { toJson } from "./print/sanitize.ts";
import { formatBytes, plural } from "./print/units.ts";
import type { ProgressEvent } from "../recipe/progress.ts";
import { type Arrived, openSession, type Session } from "./progress/session.ts";
import { resumeCommand } from "./resume-command.ts";
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
    const code = await fail(host, error);
    if (stop.overdue.aborted) host.exitAtOnce(code);
    return code;
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
  let hangUp = (): void => undefined;
  if (command.runsUntilStopped === true) stop.allowTime(() => hangUp());
  try {
    stop.signal.throwIfAborted();
    if (command.showsProgress === true || command.runsUntilStopped === true) await host.prepareExitAtOnce();
    const data = await unlessOverdue(stop, async () => {
      using _requests = settings.verbosity === "debug" ? await watchRequests(host, session) : undefined;
      const run = { signal: stop.signal, onProgress: (event: ProgressEvent) => session.onProgress(event) };
      await using services = connect(settings, run);
      const terminal = { stdin: host.stdin, show: (text: string) => void host.stderr.write(text) };
      const onHangUp = (listener: () => void): void => {
        hangUp = listener;
      };
      const { signal } = stop;
      const result = await command.run({ args, flags, settings, services, logger, terminal, signal, onHangUp });
      session.close();
      await printData(command, result, host.stdout, settings);
      return result;
    });
    return command.exitCode?.(data) ?? 0;
  } catch (error) {
    if (!stop.signal.aborted) throw withHelp(error, line.name);
    throw interrupted(host, command, { ...session.arrived(), isOverdue: stop.overdue.aborted }, error);
  } finally {
    session.close();
  }
}

/** What the work comes to, closing included; a rejection when it was told to stop and still has not. */
async function unlessOverdue<T>(stop: Stop, work: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  stop.overdue.addEventListener("abort", () => reject(stop.signal.reason as Error), { once: true });
  return Promise.race([work(), promise]);
}

async function watchRequests(host: Host, { logger }: Session): Promise<Disposable> {
  return (await import("./request-log.ts")).logRequests(logger, () => host.now());
}

interface Kept extends Arrived {
  /** The disk has not taken all that arrived. */
  readonly isOverdue: boolean;
}

/** Whatever failed, it failed because it was told to stop. */
function interrupted(host: Host, command: Command, kept: Kept, cause: unknown): VarveError {
  const { done, total, finished, layers, isOverdue } = kept;
  if (command.keepsProgress === undefined)
    return new VarveError("INTERRUPTED", "stopped", { cause, hint: "run the same command again" });
  const amount =
    command.keepsProgress === "at its destination"
      ? `${finished} of ${plural(layers, "blob")} ${finished === 1 ? "is" : "are"} there`
      : `${isOverdue ? "up to " : ""}${formatBytes(done)} of ${formatBytes(total)} are kept`;
  const { command: again, lacksCredentials } = resumeCommand(host.args);
  const hint = `go on with: ${again}${lacksCredentials ? "  (and the credentials, which are left out here)" : ""}`;
  return new VarveError("INTERRUPTED", total > 0 ? `stopped; ${amount}` : "stopped", { cause, hint });
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
