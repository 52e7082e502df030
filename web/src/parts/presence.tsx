/** Whether the daemon is there; told aloud when that changes. */
import type { Connection } from "../live.ts";

const WORDS: Readonly<Record<Connection, { readonly short: string; readonly long: string }>> = {
  connecting: { short: "connecting", long: "Asking the daemon" },
  live: { short: "live", long: "The daemon is there; what you see follows it" },
  lost: { short: "offline", long: "The daemon does not answer. What you see is old; it is tried again and again." },
  refused: { short: "refused", long: "The daemon does not let this page follow it" },
};

export function Presence({ connection }: { readonly connection: Connection }) {
  const { short, long } = WORDS[connection];
  return (
    <>
      <p class={`presence presence-${connection}`} title={long} role="status">
        <span class="presence-dot" aria-hidden="true" />
        {short}
      </p>
      {connection === "lost" && (
        <p class="offline" role="alert">
          {long}
        </p>
      )}
    </>
  );
}
