/** What happened, in words. Falling back is told, never silent. */
import type { Told as Message } from "../model/tell.ts";

const NAMES: Readonly<Record<Message["kind"], string>> = {
  retry: "retry",
  fallback: "fallback",
  wait: "wait",
  warning: "warning",
  note: "note",
};

/** The newest first; more would not be read. */
const SHOWN = 40;

export function Told({ told, dropped }: { readonly told: readonly Message[]; readonly dropped: number }) {
  if (told.length === 0) return null;
  const hidden = dropped + Math.max(0, told.length - SHOWN);
  return (
    <section aria-labelledby="told-title">
      <h3 id="told-title">What happened</h3>
      <ol class="told">
        {told
          .toReversed()
          .slice(0, SHOWN)
          .map(({ at, kind, text, times }, place) => (
            <li key={`${at} ${place}`} class={`told-${kind}`}>
              <time dateTime={new Date(at).toISOString()}>{new Date(at).toLocaleTimeString("en-GB")}</time>
              <span class="told-kind">{NAMES[kind]}</span>
              <span>
                {text}
                {times > 1 && <b> ×{times}</b>}
              </span>
            </li>
          ))}
        {hidden > 0 && <li class="muted">and {hidden} before that</li>}
      </ol>
    </section>
  );
}
