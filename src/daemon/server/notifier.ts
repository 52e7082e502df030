/** Tells systemd how the daemon is (sd_notify(3)): ready, reading its configuration, stopping, and alive where it watches for that. */
import { toVarveError } from "../../errors/from-system.ts";
import type { Log } from "../daemon.ts";

export interface Notifier extends Disposable {
  /** Also after a reload. */
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
}

export type SendState = (address: string, state: string) => void | Promise<void>;

/** Takes the variables out of the environment, so that programs that are started later do not speak for the daemon. */
export function openNotifier(env: NodeJS.ProcessEnv, log: Log, send: SendState = sendState): Notifier {
  const { NOTIFY_SOCKET: address, WATCHDOG_USEC: usec, WATCHDOG_PID: pid, VARVE_OWN_NODE: ownNode } = env;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  let isTold = false;
  const tell = async (...lines: readonly string[]): Promise<void> => {
    if (address === undefined || address === "") return;
    try {
      await send(address, lines.join("\n"));
    } catch (error) {
      const { code, message } = toVarveError(error);
      if (!isTold) log.warn({ code }, `systemd cannot be told how the daemon is: ${message}`);
      isTold = true;
    }
  };
  const isWatched =
    pid === undefined || Number(pid) === process.pid || (ownNode !== undefined && Number(pid) === process.ppid);
  const watchMs = isWatched && /^\d{1,12}$/.test(usec ?? "") ? Number(usec) / 1000 : 0;
  // A loop that hangs lets the time pass, which is what is watched for.
  const timer = watchMs > 0 ? setInterval(() => void tell("WATCHDOG=1"), Math.max(1, watchMs / 2)).unref() : undefined;
  return {
    ready: (status) => void tell("READY=1", `STATUS=${status}`),
    // CLOCK_MONOTONIC, by which systemd tells this reload from one that was before it asked.
    reloading: () => void tell("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => void tell("STOPPING=1"),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

async function sendState(address: string, state: string): Promise<void> {
  const { sendDatagram } = await import("../../sys/datagram.ts");
  sendDatagram(address, Buffer.from(state));
}
