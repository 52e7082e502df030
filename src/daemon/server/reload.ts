/** SIGHUP: the configuration and what it names are read again. What is wrong with them is logged, and all stays as it was. */
import { toVarveError } from "../../errors/from-system.ts";
import type { Audit } from "./audit.ts";
import type { Entrances } from "./entrances.ts";
import type { LiveSettings } from "./live-settings.ts";
import type { RootLog } from "./log.ts";

export interface ReloadParts {
  readonly settings: LiveSettings;
  readonly log: RootLog;
  readonly entrances: Entrances;
  readonly audit: Audit;
}

/** Never rejects. */
export async function reload({ settings, log, entrances, audit }: ReloadParts): Promise<void> {
  try {
    const { next, needRestart } = await settings.read();
    // What can still fail comes first.
    audit.reopen(next.config.log.auditFile);
    if (next.certificates !== undefined) entrances.replaceCertificates(next.certificates);
    settings.put(next);
    log.setLevel(next.config.log.level);
    log.info({}, "the configuration was read again");
    if (needRestart.length > 0) log.warn({ keys: needRestart }, "these keys have changed and need a restart");
  } catch (error) {
    const { code, message, hint } = toVarveError(error);
    log.error({ code, hint }, `the configuration cannot be read again, so the one before stays: ${message}`);
  }
}
