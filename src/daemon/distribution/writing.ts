/** What can be written to, where something may be written at all. */
import type { Exchange } from "./exchange.ts";
import type { HostedContent } from "./hosted-content.ts";
import type { RegistryOptions } from "./options.ts";
import { RegistryError } from "./registry-error.ts";
import { isName } from "./routes.ts";

export interface Writing {
  readonly repositories: HostedContent;
  readonly uploads: NonNullable<RegistryOptions["uploads"]>;
}

/** @throws RegistryError 405, which clients take for a registry that can only be read */
export async function writing({ asked, options }: Exchange, action: "push" | "delete", name: string): Promise<Writing> {
  const { repositories, uploads, allows } = options;
  if (repositories === undefined || uploads === undefined || allows?.(action) === false) {
    throw new RegistryError(405, "UNSUPPORTED", `${action === "push" ? "pushing" : "deleting"} is not allowed here`, {
      allow: "GET, HEAD",
    });
  }
  // Else what is pushed could never be read again, and a deletion would take what nobody sees.
  if (!isName(name, false) || (await options.source.writable?.(name, asked)) === false) {
    throw new RegistryError(405, "UNSUPPORTED", "what belongs to another registry cannot be changed here", {
      allow: "GET, HEAD",
    });
  }
  return { repositories, uploads };
}
