/** Transfers at once, for each registry its own: one that is slow holds up nobody who waits for another. */
import { TransferBudget } from "../../recipe/limiter.ts";

/** Twice as many as fetches that nobody waits for can hold, and more. */
const CONCURRENCY = 10;
const MEMORY_BYTES = 8 << 20;
/** Registries beyond so many share one budget with others. */
const MOST_HOSTS = 32;

export class HostBudgets {
  readonly #budgets = new Map<string, TransferBudget>();

  of(host: string): TransferBudget {
    const found = this.#budgets.get(host) ?? this.#idle() ?? newBudget();
    this.#budgets.delete(host);
    this.#budgets.set(host, found);
    return found;
  }

  /** One that nobody uses, when there are as many as there may be; else one that is shared. */
  #idle(): TransferBudget | undefined {
    if (this.#budgets.size < MOST_HOSTS) return undefined;
    const [oldest] = this.#budgets;
    const [name, budget] = [...this.#budgets].find(([, { active, waiting }]) => active + waiting === 0) ?? oldest!;
    this.#budgets.delete(name);
    return budget;
  }
}

function newBudget(): TransferBudget {
  return new TransferBudget({ concurrency: CONCURRENCY, memoryBytes: MEMORY_BYTES });
}
