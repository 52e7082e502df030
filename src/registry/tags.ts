/** A repository's tags (distribution-spec "Listing Tags"). */
import type { Caller } from "./attempts.ts";
import type { Endpoint } from "./endpoint.ts";
import { readDocument } from "./manifests.ts";
import { eachPage, nextPage } from "./pages.ts";
import type { Session, SessionAnswer } from "./session.ts";
import { RegistryFailure } from "./transport/failure.ts";

/** ECR refuses more (go-containerregistry #1091). */
const PAGE = 1000;
const MOST_TAGS = 1_000_000;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** In the registry's order, without repeats. What is no tag by the specification is left out. */
export async function listTags(
  session: Session,
  endpoint: Endpoint,
  subject: string,
  caller: Caller,
): Promise<string[]> {
  const tags = new Set<string>();
  const ask = { subject, headers: { accept: "application/json" } };
  await eachPage(session, endpoint, ask, `/tags/list?n=${PAGE}`, caller, async (answer) => {
    if (answer.status !== 200)
      throw await session.refusal(answer, { ...ask, method: "GET", path: "" }, "MANIFEST_UNKNOWN");
    const page = await readTags(answer, subject, caller);
    const before = tags.size;
    for (const tag of page) tags.add(tag);
    if (tags.size > MOST_TAGS) throw protocol(answer, subject, `more than ${MOST_TAGS} tags`);
    const next = nextPage(answer, endpoint, subject);
    // `last` only for registries that page without saying so; those that ignore it send nothing new.
    const last = page.at(-1);
    if (next !== undefined || page.length < PAGE || last === undefined || tags.size === before) return next;
    return `/tags/list?n=${PAGE}&last=${encodeURIComponent(last)}`;
  });
  return [...tags];
}

async function readTags(answer: SessionAnswer, subject: string, caller: Caller): Promise<string[]> {
  const bytes = await readDocument(answer, subject, caller);
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw protocol(answer, subject, "a list that is not JSON");
  }
  const { tags } = (parsed ?? {}) as Record<string, unknown>;
  // distribution writes null for none.
  if (tags === null || tags === undefined) return [];
  if (!Array.isArray(tags)) throw protocol(answer, subject, "no list of tags");
  return tags.filter((tag): tag is string => typeof tag === "string" && TAG.test(tag));
}

function protocol(answer: SessionAnswer, subject: string, what: string): RegistryFailure {
  const { host } = answer.url;
  return new RegistryFailure("REGISTRY_PROTOCOL", `${subject}: ${host} sent ${what}`, { detail: { host } });
}
