/** What stands where there is nothing to show: not yet, not any more, or nothing at all. */
import type { ComponentChildren } from "preact";
import type { Trouble } from "../api/daemon.ts";
import type { Resource } from "../api/use-resource.ts";

export function Loading({ what }: { readonly what: string }) {
  return (
    <p class="loading" role="status">
      <span class="loading-strata" aria-hidden="true">
        <i />
        <i />
        <i />
        <i />
      </span>
      {what}
    </p>
  );
}

interface ErrorProps {
  readonly error: Trouble;
  retry?: (() => void) | undefined;
}

export function ErrorBox({ error: { code, message, hint }, retry }: ErrorProps) {
  return (
    <div class="error" role="alert">
      <p>
        <strong>{message}</strong>
      </p>
      <p>
        {hint} <code>{code}</code>
      </p>
      {retry !== undefined && (
        <button type="button" class="secondary" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <svg viewBox="0 0 120 44" width="120" height="44" aria-hidden="true">
        <path d="M2 10q14.500-7 29 0t29 0 29 0 29 0" />
        <path d="M2 22q14.500-7 29 0t29 0 29 0 29 0" />
        <path d="M2 34q14.500-7 29 0t29 0 29 0 29 0" />
      </svg>
      <h2>{title}</h2>
      <div>{children}</div>
    </div>
  );
}

interface WhenProps<T> {
  readonly of: Resource<T>;
  readonly loading: string;
  readonly children: (data: T) => ComponentChildren;
}

/** The data when it is there, also while newer data is asked for; an error beside what is known from before. */
export function When<T>({ of: { data, error, reload }, loading, children }: WhenProps<T>) {
  return (
    <>
      {error !== undefined && <ErrorBox error={error} retry={reload} />}
      {data !== undefined ? children(data) : error === undefined && <Loading what={loading} />}
    </>
  );
}
