/** How a worker is called in jobs: the host's name and the process. */
import { hostname } from "node:os";

export function workerName(): string {
  return `${hostname().slice(0, 200)}:${process.pid}`;
}
