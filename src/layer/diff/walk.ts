/**
 * Walks a tree beside the one it came from and tells what differs, in the order of a layer (see change.ts). One walk serves both kinds
 * of tree: in an overlay's upper directory what lies below shows through unless it is hidden, in a tree of its own nothing does.
 *
 * Two descriptors are held for each directory on the way down, and the names in these directories; otherwise memory grows only by
 * the files with several names that are among the changes.
 */
import { DEFAULT_LIMITS, overLimit } from "../limits.ts";
import type { Attributes } from "./attributes.ts";
import { Breather } from "./breather.ts";
import type { Change, ChangedNode, NodeType, Presence } from "./change.ts";
import { findEntry, isSameEntry, isSameNode, openEntry, type Entry } from "./entry.ts";
import { readFault } from "./fault.ts";
import { FileNames } from "./file-names.ts";
import { enterLevel, join, leaveLevel, mustFind, type Level, type Lower } from "./level.ts";
import type { LinkSurvey, OpenTree } from "./link-survey.ts";
import { isIgnored, isOpaque, marksPrefix, refuseRedirects } from "./overlay-marks.ts";
import type { TreeDirectory } from "./tree-directory.ts";

const { depth: MAX_DEPTH } = DEFAULT_LIMITS;
const PERMISSIONS = 0o7777;
/** An empty tree has this root, see LayerApplier. */
const FRESH_ROOT_MODE = 0o755;

export interface WalkOptions {
  readonly upper: OpenTree;
  /** What the upper one stands over. `unknown`: something, but it cannot be read. */
  readonly lower: OpenTree | "none" | "unknown";
  /** How the upper one marks what is gone; undefined for a tree of its own. */
  readonly overlay: { readonly userXattr: boolean } | undefined;
  /** What is known of files with several names; without it all of them are changes. */
  readonly links: LinkSurvey | undefined;
  /** Whether the root is a change when only its modification time differs. */
  readonly rootTime: boolean;
  readonly signal: AbortSignal | undefined;
}

export class Walk {
  readonly #options: WalkOptions;
  readonly #prefix: string | undefined;
  readonly #levels: Level[] = [];
  readonly #files = new FileNames();
  /** Where it is, for errors. */
  #at = "";

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#prefix = options.overlay && marksPrefix(options.overlay.userXattr);
  }

  /** @throws VarveError `SOURCE_CHANGED`, `SNAPSHOT_STATE`, `LAYER_LIMIT`, `PERMISSION` ...; the signal's reason */
  async *changes(): AsyncGenerator<Change, void, undefined> {
    const breather = new Breather(this.#options.signal);
    try {
      const root = this.#enterRoot();
      if (root !== undefined) yield root;
      for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
        if (!level.begun) {
          level.begun = true;
          if (level.removals.length > 0) yield* this.#parents();
          yield* level.removals;
        }
        const name = level.names[level.next++];
        if (name === undefined) {
          leaveLevel(level);
          this.#levels.pop();
          continue;
        }
        await breather.breathe();
        this.#at = join(level.path, name);
        const change = await this.#visit(level, name);
        if (change === undefined) continue;
        yield* this.#parents();
        yield change;
      }
    } catch (error) {
      throw this.#options.signal?.aborted === true ? error : readFault(error, this.#at);
    } finally {
      for (const level of this.#levels) leaveLevel(level);
    }
  }

  /** The directories above what comes next that were not told yet. */
  *#parents(): Generator<Presence> {
    for (const level of this.#levels) {
      if (level.parent !== undefined) yield level.parent;
      level.parent = undefined;
    }
  }

  #enterRoot(): Presence | undefined {
    const { upper: openUpper, lower: openLower } = this.#options;
    using opened = new DisposableStack();
    const upper = opened.use(openUpper());
    const lower = typeof openLower === "string" ? openLower : opened.use(openLower());
    const now = mustFind(upper, "", "");
    const attributes = upper.attributes("", this.#prefix);
    const changed =
      typeof lower === "string"
        ? this.#options.rootTime || !isFreshRoot(now, attributes)
        : !isSameRoot(now, attributes, mustFind(lower, "", ""), this.#options.rootTime);
    opened.move();
    const pure = this.#prefix === undefined || isOpaque(attributes);
    this.#enter({ path: "", upper, lower, pure, attributes, parent: undefined });
    return changed ? { kind: "modify", path: "", node: this.#node(now, attributes), opaque: false } : undefined;
  }

  #enter(init: Omit<Parameters<typeof enterLevel>[0], "prefix">): void {
    this.#levels.push(enterLevel({ ...init, prefix: this.#prefix }));
  }

  /** @returns the change that the name is, if it is one; a directory is entered */
  async #visit(level: Level, name: string): Promise<Presence | undefined> {
    const { upper, lower } = level;
    const now = mustFind(upper, name, this.#at);
    if (isIgnored(now)) return undefined;
    const attributes = upper.attributes(name, this.#prefix);
    refuseRedirects(now.path, attributes);
    const before = typeof lower === "string" ? undefined : findLayered(lower, now);
    if (now.type === "directory") return this.#visitDirectory(level, now, attributes, before);
    if (before !== undefined && (await this.#isSame(now, attributes, before))) return undefined;
    const kind = before === undefined ? "add" : "modify";
    return { kind, path: now.path, node: this.#node(now, attributes), opaque: false };
  }

  #visitDirectory(level: Level, now: Entry, attributes: Attributes, before: Entry | undefined): Presence | undefined {
    const { path, name } = now;
    if (this.#levels.length > MAX_DEPTH) throw overLimit("directories on the way to a file", MAX_DEPTH);
    const opaque = isOpaque(attributes);
    // What lies below is not known, but a layer can say that it does not show through; further down there is nothing to be known.
    const blind = level.lower === "unknown" && opaque;
    const changed = before === undefined || !isSameNode(now, attributes, before);
    const kind = before === undefined ? "add" : changed ? "modify" : "parent";
    const change: Presence = { kind, path, node: this.#node(now, attributes), opaque: blind };
    using opened = new DisposableStack();
    const upper = opened.use(level.upper.child(name));
    const lower = lowerOf(level.lower, before, blind);
    opened.move();
    const parent = changed ? undefined : change;
    this.#enter({ path, upper, lower, pure: level.pure || opaque, attributes, parent });
    return changed ? change : undefined;
  }

  async #isSame(now: Entry, attributes: Attributes, before: Entry): Promise<boolean> {
    if (now.status.links < 2 && before.status.links < 2) return isSameEntry(now, attributes, before);
    // In an upper directory, a name of several was taken from its file when it was copied up, or is a new one: always a change.
    return this.#options.links?.isUnchanged(now.status) === true;
  }

  #node(entry: Entry, { content }: Attributes): ChangedNode {
    const { status, type, path } = entry;
    const { uid, gid, modifiedAt, deviceMajor, deviceMinor } = status;
    const device = type === "char" || type === "block";
    return {
      type: type as NodeType,
      mode: status.mode & PERMISSIONS,
      uid,
      gid,
      size: type === "file" ? status.size : 0,
      modifiedAt,
      deviceMajor: device ? deviceMajor : 0,
      deviceMinor: device ? deviceMinor : 0,
      target: type === "symlink" ? entry.directory.readlink(entry.name) : "",
      xattrs: content,
      linkedTo: type === "directory" ? undefined : this.#files.tell(status, path),
      open: () => openEntry(entry),
    };
  }
}

/** What a layer can have put there. */
function findLayered(lower: TreeDirectory, { name, path }: Entry): Entry | undefined {
  const found = findEntry(lower, name, path);
  return found === undefined || isIgnored(found) ? undefined : found;
}

function lowerOf(lower: Lower, before: Entry | undefined, blind: boolean): Lower {
  if (typeof lower !== "string") return before?.type === "directory" ? lower.child(before.name) : "none";
  return blind ? "none" : lower;
}

function isFreshRoot({ status: { mode, uid, gid } }: Entry, { content }: Attributes): boolean {
  return (mode & PERMISSIONS) === FRESH_ROOT_MODE && uid === 0 && gid === 0 && content.size === 0;
}

function isSameRoot(now: Entry, attributes: Attributes, before: Entry, time: boolean): boolean {
  const { modifiedAt } = time ? now.status : before.status;
  return isSameNode({ ...now, status: { ...now.status, modifiedAt } }, attributes, before);
}
