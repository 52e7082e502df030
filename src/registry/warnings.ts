/** Passes on what registries warn of: each text once, as they repeat it with every answer, and never more than a few. */
import type { TransportEvent } from "./blob-source.ts";
import { sanitize } from "./transport/error-text.ts";
import type { HttpAnswer } from "./transport/transport.ts";
import { parseWarnings } from "./transport/warning-header.ts";

/** A registry that always has another text is not listened to any more. */
const MOST_TEXTS = 50;

export class Warnings {
  readonly #told = new Set<string>();

  /** @param secrets what the request was sent with, and must not show up in a text */
  tell(
    { headers, url }: Pick<HttpAnswer, "headers" | "url">,
    secrets: readonly string[],
    onEvent: ((event: TransportEvent) => void) | undefined,
  ): void {
    if (onEvent === undefined || headers["warning"] === undefined) return;
    for (const raw of parseWarnings(headers["warning"])) {
      const text = sanitize(raw, secrets);
      if (text === "" || this.#told.has(text) || this.#told.size === MOST_TEXTS) continue;
      this.#told.add(text);
      onEvent({ type: "warning", host: url.host, text });
    }
  }
}
