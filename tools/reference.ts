/**
 * Makes docs/cli.md, docs/errors.md and the tables of docs/daemon.md from the tables that the program itself uses, so that they cannot drift apart; a test holds the
 * files to this. Run it after changing a command, a flag or an error: node tools/reference.ts
 */
import { readFile, writeFile } from "node:fs/promises";
import { COMMANDS } from "../src/cli/commands.ts";
import type { FlagSpec } from "../src/cli/command.ts";
import { GLOBAL_FLAGS } from "../src/cli/global-flags.ts";
import { CONFIG_KEYS, variableOf } from "../src/daemon/config/keys.ts";
import { METRICS } from "../src/daemon/metrics/names.ts";
import { ERROR_TABLE } from "../src/errors/table.ts";

const DOCS = new URL("../docs/", import.meta.url);

/** Each file's text as it should be. */
export async function reference(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["cli.md", await cliReference()],
    ["errors.md", errorReference()],
    ["daemon.md", await daemonReference()],
  ]);
}

async function cliReference(): Promise<string> {
  const sections: string[] = [];
  for (const entry of COMMANDS) {
    const command = await entry.load();
    const words = command.arguments.map(({ name }) => name).join(" ");
    sections.push(
      `## \`varve ${[entry.name, words].filter(Boolean).join(" ")}\``,
      `${capital(entry.summary)}.${entry.alias === undefined ? "" : ` Also \`${entry.alias}\`.`}`,
      ...(command.arguments.length === 0
        ? []
        : [
            table(
              ["argument", "meaning"],
              command.arguments.map(({ name, summary }) => [code(name), summary]),
            ),
          ]),
      ...(command.flags.length === 0 ? [] : [flagTable(command.flags)]),
      ...(command.notes === undefined ? [] : [command.notes.join(" ")]),
      ...(command.examples === undefined ? [] : [command.examples.map((line) => `    ${line}`).join("\n")]),
    );
  }
  return `${[
    "# The command line",
    "<!-- made by tools/reference.ts from the program's own tables -->",
    "From a checkout, `npm run -s varve -- ARGS` runs it from source. Results go to stdout, everything else to stderr. With `--json` stdout holds exactly one JSON document.",
    "## Every command takes",
    flagTable(GLOBAL_FLAGS),
    'An error is `varve: CODE: what happened` and `hint: what to do`, with `--json` `{"error":{"code","message","hint"}}`; [errors.md](errors.md) lists the codes.',
    ...sections,
    PULL_JSON,
    COPY_JSON,
    PROGRESS,
  ].join("\n\n")}\n`;
}

const PULL_JSON = `## What \`pull --json\` prints

    {
      "reference", "digest", "mediaType", "platform", "imageId", "chainId",
      "status": "pulled" | "up-to-date" | "planned",
      "bytes": { "network", "local", "data", "zero", "total" },
      "requests", "retries", "resumedBytes", "durationMs", "peakRssBytes",
      "layers": [ { "digest", "diffId", "mediaType", "size", "how": "present" | "full" | "resumed" | "zstd-chunked" | "estargz" | "disk",
                    "bytes": { "network", "local", "data", "zero" }, "fallbacks": [ { "from", "reason" } ] } ],
      "disks": [ { "name", "key", "size", "allocatedBytes", "path", "requests",
                   "bytes": { "network", "local", "data", "zero", "copied" } } ],
      "warnings": [ ... ]
    }

\`bytes.network\` counts body bytes received from registries for this command, manifests and indexes included. Several references give an
array. With \`--plan\` nothing moves, and each layer also says \`why\` it would come this way.

Images of virtual machines, and no others, have \`disks\`: the raw file of each at \`path\`, which only the store may write, its \`size\` with holes, and
the \`allocatedBytes\` that it takes. \`path\` and \`allocatedBytes\` are null as long as it is not made, \`size\` where only whoever has decoded it
knows. A chunk of a disk is a layer whose \`how\` is \`disk\`: of its bytes \`network\` came from the registry, \`local\` from other disks, from blobs that were
here, or from another place of the same disks (\`copied\`, in sums of a disk), and \`zero\` is a hole. Its \`diffId\` is the digest of what it holds. \`platform\` and \`chainId\` are null.`;

const COPY_JSON = `## What \`copy --json\` and \`push --json\` print

    {
      "source", "destination", "digest", "mediaType", "status": "copied" | "up-to-date",
      "blobs": { "copied", "mounted", "present" }, "manifests",
      "bytes": { "network", "sent", "copied" },
      "requests", "retries", "durationMs", "peakRssBytes", "warnings": [ ... ]
    }

\`digest\` is that of what was copied: the platform's manifest, or with \`--all\` the index. \`blobs\` were written, taken by the registry from another
of its repositories, or there; \`manifests\` were written. \`bytes.network\` counts body bytes received from registries, \`bytes.sent\` those sent to
them, also what had to be sent again, and \`bytes.copied\` the blobs that were written. Nothing is counted of parts that are there under a manifest that is.`;

const PROGRESS = `## Progress events

With \`--progress json\` each line on stderr is an event with a \`type\`: \`resolve\`, \`layer-queued\`, \`disk-queued\`, \`unpack-queued\`, \`layer-start\`,
\`progress\`, \`unpack\`, \`disk\`, \`retry\`, \`failover\`, \`throttle\`, \`fallback\`, \`wait\`, \`layer-verified\`, \`layer-mounted\`, \`layer-present\`, \`layer-done\`, \`image-done\`,
\`warning\`, \`log\`. All layers are queued before the first is begun, so that their \`total\`s give the whole. A \`progress\` event has \`digest\`,
\`done\`, \`total\`, \`bytesPerSecond\`, \`etaSeconds\` (null while nothing moves) and the byte kinds \`network\`, \`local\`, \`data\`, \`zero\`; at most ten a
second come for one digest, and the last state always. While another process gets a blob, \`wait\` says every half second how much of it
that has: \`done\` of \`total\`. Of \`copy\` and \`push\`, \`resolve\` says where \`to\`, and \`done\` is how far the upload is: what the registry has, or the
network on the way there; it goes back where a part has to be sent again. \`sent\` counts all that was sent for the blob, that included, and is left out
of what goes to no registry. Layers that are first compressed another way have \`unpack\` events with \`compresses\`, after a \`resolve\` without a digest. \`layer-mounted\` says \`from\` which repository the registry took a blob.

A disk of a virtual machine is queued by \`disk-queued\`, with its \`name\`, its key as \`digest\`, and its length as \`total\`, 0 where nobody knows it. The
\`layer-start\`, \`progress\`, \`wait\`, \`layer-present\` and \`layer-done\` events of that digest are the disk's: \`done\` counts its bytes, holes and copies included, and
\`network\` those that came from the registry for it. Its chunks have no progress of their own; a \`retry\` or a \`fallback\` names a chunk.`;

function errorReference(): string {
  const rows = Object.entries(ERROR_TABLE).map(([name, { exit, hint }]) => [code(name), String(exit), hint]);
  return `${[
    "# Errors",
    "<!-- made by tools/reference.ts from src/errors/table.ts -->",
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not authorised, 5 verification failed, 6 busy, 130 interrupted with progress kept. Where a place knows better than the hint below, it says so.",
    table(["code", "exit", "hint"], rows),
  ].join("\n\n")}\n`;
}

/** The page that people wrote, with the tables of keys and metrics in their places. */
async function daemonReference(): Promise<string> {
  const page = await readFile(new URL("daemon.md", DOCS), "utf8");
  const keys = CONFIG_KEYS.map((row) => [
    code(row.key),
    code(variableOf(row)),
    row.byDefault,
    `${row.summary}; ${row.kind.allowed}`,
    row.reloads ? "reload" : "restart",
  ]);
  const metrics = Object.values(METRICS).map(({ name, kind, labels, help }) => [
    code(name),
    kind,
    labels.join(", "),
    help,
  ]);
  return [
    ["keys", table(["key", "variable", "default", "meaning; value", "changes by"], keys)],
    ["metrics", table(["name", "kind", "labels", "meaning"], metrics)],
  ].reduce((text, [place, made]) => inPlace(text, String(place), String(made)), page);
}

function inPlace(page: string, place: string, made: string): string {
  const [begin, end] = [`<!-- ${place}: made by tools/reference.ts -->`, `<!-- /${place} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`docs/daemon.md has no place for ${place}`);
  return `${page.slice(0, from + begin.length)}\n\n${made}\n\n${page.slice(to)}`;
}

function flagTable(flags: readonly FlagSpec[]): string {
  const meaning = ({ summary, choices }: FlagSpec): string =>
    choices === undefined ? summary : `${summary}: ${choices.join(", ")}`;
  return table(
    ["flag", "meaning"],
    flags.map((flag) => [code(flag.flags), meaning(flag)]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

function code(text: string): string {
  return `\`${text}\``;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

if (import.meta.main) {
  for (const [name, text] of await reference()) await writeFile(new URL(name, DOCS), text);
}
