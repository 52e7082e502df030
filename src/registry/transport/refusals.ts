/** What becomes of an answer that refuses, in one place: loaded when there is one. */
export { errorText } from "./error-text.ts";
export { parseRetryAfter } from "./retry-after.ts";
export { statusFailure } from "./status-failure.ts";
