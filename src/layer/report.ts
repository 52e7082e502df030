import type { TarEntry } from "../codec/tar/entry.ts";
import type { Meaning } from "./meaning.ts";
import { quoteName } from "./names.ts";

/** What applying layers did, and what it had to leave out: counted and reported, not fatal. */
export interface ApplyReport {
  /** Members of the archives, whiteouts and skipped ones too. */
  readonly entries: number;
  readonly files: number;
  /** Sizes of the regular files, holes included. */
  readonly bytes: number;
  readonly directories: number;
  /** Hard and symbolic links. */
  readonly links: number;
  readonly whiteouts: number;
  readonly skipped: { readonly owners: number; readonly devices: number; readonly xattrs: number };
  /** The first hundred, one line each. */
  readonly warnings: readonly string[];
}

const MAX_WARNINGS = 100;

/** The running counts behind an `ApplyReport`. */
export class Tally {
  entries = 0;
  files = 0;
  bytes = 0;
  directories = 0;
  links = 0;
  whiteouts = 0;
  readonly #skipped = { owners: 0, devices: 0, xattrs: 0 };
  readonly #warnings: string[] = [];
  #unsaid = 0;

  /** Counts a member of the archive (all but `entries`, which count before they are understood). */
  member(entry: TarEntry, { kind }: Meaning): void {
    if (kind === "delete" || kind === "opaque") this.whiteouts++;
    else if (kind === "reserved") this.warn(`${quoteName(entry.name)} left out: the name is reserved`);
    else if (entry.type === "directory") this.directories++;
    else if (kind === "root") return;
    else if (entry.type === "symlink" || entry.type === "link") this.links++;
    else if (entry.type === "file") {
      this.files++;
      this.bytes += entry.size;
    }
  }

  /** Counts what is left out; `why` is only said for the first of its kind, for there may be one per file. */
  skip(kind: "owners" | "devices" | "xattrs", why: () => string): void {
    if (this.#skipped[kind]++ === 0 || kind === "devices") this.warn(why());
  }

  warn(line: string): void {
    if (this.#warnings.length < MAX_WARNINGS) this.#warnings.push(line);
    else this.#unsaid++;
  }

  report(): ApplyReport {
    const { entries, files, bytes, directories, links, whiteouts } = this;
    const more = this.#unsaid === 0 ? [] : [`${this.#unsaid} more warnings`];
    const skipped = { ...this.#skipped };
    return {
      entries,
      files,
      bytes,
      directories,
      links,
      whiteouts,
      skipped,
      warnings: [...this.#warnings, ...more],
    };
  }
}
