/**
 * How fast registries were when images were pulled from them: what a new process, which has measured nothing yet, weighs plans with. A hint, and
 * lost without loss.
 */
import type { Metadata } from "./database.ts";

/** Pulls that are remembered of each registry. */
const LAST = 4;
/** Rates that are remembered. */
const MOST = 400;

export class RegistryRates {
  readonly #metadata: Metadata;
  readonly #clock: () => number;

  constructor(metadata: Metadata, clock: () => number) {
    this.#metadata = metadata;
    this.#clock = clock;
  }

  /** @param host as references name it, with its port */
  async record(host: string, bytesPerSecond: number): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      connection.run(
        "INSERT INTO registry_rates (host, bytes_per_second, measured_at) VALUES (?, ?, ?)",
        host,
        Math.round(bytesPerSecond),
        this.#clock(),
      );
      connection.run(
        `DELETE FROM registry_rates WHERE host = ?1 AND id NOT IN
          (SELECT id FROM registry_rates WHERE host = ?1 ORDER BY id DESC LIMIT ${LAST})`,
        host,
      );
      connection.run(`DELETE FROM registry_rates WHERE id <= (SELECT max(id) FROM registry_rates) - ${MOST}`);
    });
  }

  /** Bytes per second of the fastest of the last few pulls: what slowed the others was often not the line. */
  async fastest(host: string): Promise<number | undefined> {
    const connection = await this.#metadata.readable();
    const rate = connection?.get("SELECT max(bytes_per_second) AS rate FROM registry_rates WHERE host = ?", host)?.[
      "rate"
    ];
    return typeof rate === "number" ? rate : undefined;
  }
}
