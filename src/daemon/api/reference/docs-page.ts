/** The reference page: HTML that needs no scripts and nothing from elsewhere, made of the same table as the OpenAPI document. */
import { createHash } from "node:crypto";
import type { TObject, TSchema } from "typebox";
import { exampleOf } from "./example.ts";
import { errorCodes, listedRoutes, mediaTypeOf, type Json, type JsonObject, type ListedRoute } from "./openapi.ts";

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
code, pre { font: 0.9em/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.7rem 1rem; border: 1px solid #8886; border-radius: 4px; }
h2 { margin-top: 3rem; border-bottom: 2px solid #8888; }
h3 { margin-top: 2rem; overflow-wrap: anywhere; }
h3 b { display: inline-block; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere; }
nav ul { columns: 16rem; padding-left: 1rem; }
`;

/** Nothing but this style. */
export const DOCS_CSP = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "form-action 'none'",
].join("; ");

export function docsPage(document: JsonObject): string {
  const byTag = Map.groupBy(listedRoutes(), ({ spec }) => spec.tag);
  const { version } = document["info"] as { readonly version: string };
  const { schemas } = document["components"] as { readonly schemas: Readonly<Record<string, Json>> };
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>varve: API</title><style>${STYLE}</style></head>
<body>
<h1>varve ${escape(version)}: API</h1>
<p>Answers are JSON; an error is <code>{"error":{"code","message","hint"}}</code>. Names are one percent-encoded segment of a path. The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
<nav><ul>${[...byTag.keys()].map((tag) => `<li><a href="#${anchor(tag)}">${escape(tag)}</a></li>`).join("")}<li><a href="#schemas">Schemas</a></li></ul></nav>
${[...byTag].map(([tag, routes]) => `<h2 id="${anchor(tag)}">${escape(tag)}</h2>${routes.map(routeSection).join("")}`).join("\n")}
<h2 id="schemas">Schemas</h2>
${Object.entries(schemas).map(schemaSection).join("\n")}
</body>
</html>
`;
}

function routeSection({ id, method, path, spec }: ListedRoute): string {
  const { summary, description, params, query, body, status, answer } = spec;
  const errors = [...errorCodes(spec)].toSorted(([a], [b]) => a - b);
  return [
    `<section><h3 id="${anchor(id)}"><b>${method}</b> <code>${escape(path)}</code></h3>`,
    `<p>${escape(summary)}.${description === undefined ? "" : ` ${escape(description)}`}</p>`,
    params === undefined ? "" : table("in the path", params),
    query === undefined ? "" : table("in the query", query),
    body === undefined ? "" : table("in the body", body) + sample(exampleOf(body)),
    `<p>Answers <code>${status}</code>${answer === null ? "" : ` with ${typeText(answer)} as <code>${mediaTypeOf(spec)}</code>`}; errors: `,
    errors.map(([http, codes]) => `${http} ${codes.map((code) => `<code>${code}</code>`).join(", ")}`).join("; "),
    "</p></section>",
  ].join("\n");
}

function sample(value: Json): string {
  return `<pre>${escape(JSON.stringify(value, undefined, 2))}</pre>`;
}

function schemaSection([name, schema]: [string, Json]): string {
  const members = schema as unknown as TObject;
  const shown =
    members.properties === undefined
      ? `<p>${typeText({ ...members, title: undefined })}</p>`
      : table("member", members);
  return `<section><h3 id="${anchor(name)}"><code>${escape(name)}</code></h3>${shown}</section>`;
}

function table(where: string, { properties, required }: TObject): string {
  const needs = new Set<string>(required);
  const rows = Object.entries(properties).map(([name, schema]) => {
    const { description = "" } = schema as { readonly description?: string };
    const needed = needs.has(name) ? "" : ", may be left out";
    return `<tr><td><code>${escape(name)}</code></td><td>${typeText(schema)}${needed}</td><td>${escape(description)}</td></tr>`;
  });
  return `<table><thead><tr><th>${where}</th><th>what</th><th>meaning</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

interface Shown {
  readonly title?: string;
  readonly $ref?: string;
  readonly const?: Json;
  readonly enum?: readonly Json[];
  readonly anyOf?: readonly TSchema[];
  readonly type?: string;
  readonly items?: TSchema;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

/** Of lists of words so many are shown. */
const MOST_WORDS = 20;

function typeText(schema: TSchema): string {
  const shown = schema as Shown;
  const { title = shown.$ref?.split("/").at(-1), enum: words, anyOf, type = "anything", items, properties } = shown;
  if (title !== undefined) return `<a href="#${anchor(title)}">${escape(title)}</a>`;
  if (shown.const !== undefined) return `<code>${escape(JSON.stringify(shown.const))}</code>`;
  if (words !== undefined) {
    const some = words.slice(0, MOST_WORDS).map((word) => `<code>${escape(JSON.stringify(word).slice(1, -1))}</code>`);
    return some.join(" | ") + (words.length > MOST_WORDS ? " | ..." : "");
  }
  if (anyOf !== undefined) return anyOf.map(typeText).join(" | ");
  if (items !== undefined) return `list of ${typeText(items)}`;
  if (properties !== undefined) {
    return `{ ${Object.entries(properties)
      .map(([name, member]) => `${escape(name)}: ${typeText(member)}`)
      .join(", ")} }`;
  }
  return escape(type) + limits(shown);
}

function limits({ type, minimum, maximum, maxLength }: Shown): string {
  if (type === "string") return maxLength === undefined ? "" : `, at most ${maxLength} characters`;
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && most !== undefined) return `, ${minimum} to ${most}`;
  return "";
}

function anchor(text: string): string {
  return escape(text.toLowerCase());
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
