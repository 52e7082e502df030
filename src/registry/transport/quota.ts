/**
 * Which refusals mean that somebody's allowance of bytes is spent, rather than that a request was wrong or too early.
 * Azure's store behind GHCR says so with 503 ("Egress is over the account limit"), web hosts with 509, others with 403
 * and words. Such an allowance comes back in minutes, so asking again soon is of no use, and giving up at once is wrong
 * as well.
 */

/** What is counted. Docker Hub's "pull rate limit" is none of these: it counts requests, and has a code of its own. */
const COUNTED =
  /\b(?:egress|bandwidth|traffic|(?:data|network)[ _-]?transfer|downloads?|(?:account|data)[ _-]?limit)\b/i;
const SPENT = /\b(?:limit(?:s|ed)?|exceed(?:s|ed|ing)?|exhausted|depleted|used up|over|reached|cap)\b/i;
const QUOTA = /quota/i;
/** `rateLimitExceeded` and the like are one word. */
const EXCEEDED = /(?:rate|limit|usage)[ _-]?(?:limit[ _-]?)?exceed/i;

/**
 * @param text the registry's own words, sanitised
 * @returns whether to come back for it much later. A plain 403 stays a denial, a plain 503 a failure, a plain 429 a rate.
 */
export function isQuota(status: number, text: string | undefined): boolean {
  if (status === 509) return true;
  if (text === undefined) return false;
  const spent = QUOTA.test(text) || (COUNTED.test(text) && SPENT.test(text));
  switch (status) {
    case 402:
    case 403:
      return spent || EXCEEDED.test(text);
    case 429:
    case 500:
    case 503:
      return spent;
    default:
      return false;
  }
}
