/**
 * Tars that try to write, link, delete or change modes outside their root, or that stretch what a tar may say. Each says what
 * must hold inside the root afterwards; that nothing outside changed must hold for all of them. After containerd's
 * `TestBreakouts`, CVE-2021-32760 (chmod through a link) and CVE-2025-47290 (a parent swapped for a link mid-archive).
 */
import { directory, file, hardlink, opaque, symlink, whiteout, type TreeNode } from "./trees/tree-node.ts";

/** What a path inside the root must be: a file with this content, a link with this text, a directory, or not there. */
export type Wanted = { file: string } | { link: string } | "directory" | "absent";

export interface HostileTar {
  readonly name: string;
  /** From the lowest up. */
  readonly layers: readonly (readonly TreeNode[])[];
  readonly wanted?: Readonly<Record<string, Wanted>>;
  /** Paths that must be one inode. */
  readonly same?: readonly (readonly [string, string])[];
  /** The code it must be turned down with; without it, it must be applied. */
  readonly refused?: "LAYER_INVALID" | "LAYER_LIMIT";
}

/** What stands outside: `outside/etc/passwd` "outside", `outside/perm400` of mode 0400, `outside/sub/deep`. */
export const OUTSIDE_FILES = { "etc/passwd": "outside", perm400: "secret", "sub/deep": "deep" } as const;

const etc = directory("etc", { mode: 0o770 });
const inside = (wanted: string): Wanted => ({ file: wanted });

/** @param outside the absolute path of the directory beside the root, which is reached from the root as `../outside` too */
export function hostileTars(outside: string): readonly HostileTar[] {
  return [
    ...throughSymlinks(outside),
    ...hardlinks(outside),
    ...replacements(outside),
    ...whiteouts(),
    ...degenerate(),
  ];
}

function throughSymlinks(outside: string): HostileTar[] {
  const written = (name: string, ...links: TreeNode[]): HostileTar => ({
    name,
    layers: [[etc, directory("dummy"), ...links, file("/localetc/unbroken", "x")]],
    wanted: { "etc/unbroken": inside("x") },
  });
  return [
    written("SymlinkAbsolute", symlink("localetc", "/etc")),
    written("SymlinkUpAndOut", symlink("localetc", "/dummy/../etc")),
    written("SymlinkUpAndOutFar", symlink("localetc", "../../../../../../etc")),
    written("SymlinkMultipleAbsolute", symlink("dummy/link", "/etc"), symlink("localetc", "/dummy/link")),
    written("SymlinkMultipleRelative", symlink("dummy/link", "../etc"), symlink("localetc", "dummy/link")),
    written("SymlinkThroughDotDotOfLink", symlink("dummy/link", "/etc"), symlink("localetc", "dummy/link/../etc")),
    {
      name: "SymlinkEmptyFile",
      layers: [[etc, file("etc/emptied", "notempty"), symlink("localetc", "/etc"), file("/localetc/emptied", "")]],
      wanted: { "etc/emptied": inside("") },
    },
    {
      name: "SymlinkOutsideAbsolute",
      layers: [[symlink("out", `${outside}/etc`), file("out/passwd", "pwned")]],
      wanted: { [`${outside}/etc/passwd`.slice(1)]: inside("pwned") },
    },
    {
      name: "SymlinkOutsideRelative",
      layers: [[symlink("out", "../outside/etc"), file("out/passwd", "pwned")]],
      wanted: { "outside/etc/passwd": inside("pwned") },
    },
    {
      name: "NameOutside",
      layers: [
        [file("../outside/etc/passwd", "pwned"), file(`${outside}/perm400`, "pwned"), file("a/../../../../b", "b")],
      ],
      wanted: { "outside/etc/passwd": inside("pwned"), b: inside("b") },
    },
    {
      name: "SymlinkAtTheName",
      layers: [[symlink("f", `${outside}/etc/passwd`), file("f", "pwned", { mode: 0o777, uid: 1 })]],
      wanted: { f: inside("pwned") },
    },
    { name: "SymlinkLoop", layers: [[symlink("a", "b"), symlink("b", "a"), file("a/x")]], refused: "LAYER_INVALID" },
    { name: "SymlinkToItself", layers: [[symlink("a", "a/a/a"), file("a/x")]], refused: "LAYER_INVALID" },
    {
      name: "SymlinkParentDirectory",
      layers: [[etc, file("etc/kept", "kept"), symlink("..", "/etc/"), file("localetc/kept", "")]],
      wanted: { "etc/kept": inside("kept"), "localetc/kept": inside("") },
    },
    {
      name: "SymlinkEmptyFilename",
      layers: [[etc, file("etc/kept", "kept"), symlink("", "/etc/"), file("localetc/kept", "")]],
      wanted: { "etc/kept": inside("kept") },
    },
    {
      name: "SymlinkParentRelative",
      layers: [[etc, file("etc/emptied", "x"), symlink("localetc/sub/..", "/etc/"), file("localetc/emptied", "")]],
      wanted: { "etc/emptied": inside(""), localetc: { link: "/etc/" } },
    },
    {
      name: "SymlinkSlashEnded",
      layers: [[etc, file("etc/emptied", "x"), symlink("localetc/", "/etc/"), file("localetc/emptied", "")]],
      wanted: { "etc/emptied": inside(""), localetc: { link: "/etc/" } },
    },
    {
      name: "SymlinkDangling",
      layers: [[symlink("out", "/not/there"), file("out/f", "x")]],
      wanted: { "not/there/f": inside("x"), out: { link: "/not/there" } },
    },
  ];
}

function hardlinks(outside: string): HostileTar[] {
  const linked = (name: string, target: string, ...before: TreeNode[]): HostileTar => ({
    name,
    layers: [[etc, file("etc/passwd", "inside"), ...before, hardlink("localpasswd", target)]],
    wanted: { localpasswd: inside("inside"), "etc/passwd": inside("inside") },
    same: [["localpasswd", "etc/passwd"]],
  });
  const throughLink = (name: string, target: string): HostileTar => {
    const { layers, ...rest } = linked(name, "localetc/passwd");
    const [all = []] = layers;
    return { ...rest, layers: [[...all.slice(0, 2), symlink("localetc", target), ...all.slice(2)]] };
  };
  return [
    throughLink("HardlinkRelative", "../etc"),
    throughLink("HardlinkDownAndOut", "etc/../../etc"),
    throughLink("HardlinkAbsolute", "/etc"),
    throughLink("HardlinkRelativeLong", "../../../../../../../etc"),
    throughLink("HardlinkRelativeUpAndOut", "dne/../../../etc"),
    linked("HardlinkDirectRelative", "../../../../../etc/passwd"),
    linked("HardlinkDirectAbsolute", "/etc/passwd"),
    { name: "HardlinkOutside", layers: [[hardlink("x", `${outside}/etc/passwd`)]], refused: "LAYER_INVALID" },
    { name: "HardlinkOutsideRelative", layers: [[hardlink("x", "../outside/perm400")]], refused: "LAYER_INVALID" },
    { name: "HardlinkDirectory", layers: [[etc, hardlink("x", "etc")]], refused: "LAYER_INVALID" },
    { name: "HardlinkRoot", layers: [[hardlink("x", "/")]], refused: "LAYER_INVALID" },
    { name: "HardlinkIntoReplaced", layers: [[file("d/f", "x"), hardlink("d", "d/f")]], refused: "LAYER_INVALID" },
    {
      name: "HardlinkToItself",
      layers: [[file("f", "x"), hardlink("f", "f"), hardlink("./f", "/f")]],
      wanted: { f: inside("x") },
    },
    {
      name: "HardlinkSymlinkBeforeCreateTarget",
      layers: [[symlink("later", "etc/f"), hardlink("h", "later"), etc, file("etc/f", "x"), file("h", "plain")]],
      wanted: { h: inside("plain"), later: { link: "etc/f" }, "etc/f": inside("x") },
    },
    {
      name: "HardlinkSymlinkRelative",
      layers: [[etc, file("etc/f", "x"), symlink("l", "etc/f"), hardlink("h", "l")]],
      wanted: { h: { link: "etc/f" } },
      same: [["h", "l"]],
    },
    {
      name: "HardlinkSymlinkAbsolute",
      layers: [[etc, symlink("l", "/etc/f"), hardlink("h", "l")]],
      wanted: { h: { link: "/etc/f" } },
      same: [["h", "l"]],
    },
    {
      name: "CVE-2021-32760 HardlinkSymlinkChmod",
      layers: [[symlink("l", `${outside}/perm400`), hardlink("h", "l", { mode: 0o777, uid: 4, mtime: 1n })]],
      wanted: { h: { link: `${outside}/perm400` } },
    },
  ];
}

function swapped(name: string, ...swap: TreeNode[]): HostileTar {
  return {
    name,
    layers: [
      [directory("a"), directory("a/b"), file("a/b/one", "1"), ...swap, file("a/b/perm400", "pwned", { mode: 0o777 })],
    ],
  };
}

function replacements(outside: string): HostileTar[] {
  const [escape, up] = [symlink("a/b", outside), symlink("a/b", "../../outside")];
  return [
    swapped("CVE-2025-47290 parent swapped for an absolute link", escape),
    swapped("CVE-2025-47290 parent swapped for a relative link", up),
    swapped("CVE-2025-47290 grandparent swapped", symlink("a", `${outside}/..`), file("a/outside/etc/passwd", "pwned")),
    {
      name: "CVE-2025-47290 SymlinkOverridePath",
      layers: [
        [
          directory("path"),
          file("path/one", "1"),
          symlink("path", "/"),
          file("path/two", "2"),
          directory("path"),
          file("path/three", "3"),
        ],
      ],
      wanted: { two: inside("2"), path: "directory", "path/three": inside("3"), "path/one": "absent" },
    },
    {
      name: "parent swapped in a later layer",
      layers: [
        [directory("a/b"), file("a/b/one", "1")],
        [file("a/b/x"), escape, file("a/b/etc/passwd", "pwned")],
      ],
    },
    {
      name: "parent swapped by a hard link to a link",
      layers: [
        [directory("a/b"), file("a/b/one"), symlink("l", outside), hardlink("a/b", "l"), file("a/b/perm400", "x")],
      ],
    },
    {
      name: "parent whited out and made a link",
      layers: [
        [directory("a/b"), file("a/b/one")],
        [whiteout("a/b"), escape, file("a/b/perm400", "pwned"), opaque("a/b")],
      ],
    },
    {
      name: "SymlinkOverrideDirectory",
      layers: [[etc, file("etc/f", "x"), directory("l"), file("l/gone"), symlink("l", "/etc"), file("l/g", "g")]],
      wanted: { l: { link: "/etc" }, "etc/g": inside("g"), "etc/f": inside("x") },
    },
    {
      name: "SymlinkOverrideDirectoryRelative",
      layers: [[etc, directory("d/l"), symlink("d/l", "../../../etc"), file("d/l/g", "g")]],
      wanted: { "d/l": { link: "../../../etc" }, "etc/g": inside("g") },
    },
    {
      name: "DirectoryOverrideSymlink",
      layers: [[etc, file("etc/f", "x"), symlink("l", outside), directory("l", { mode: 0o700 }), file("l/f", "y")]],
      wanted: { l: "directory", "l/f": inside("y"), "etc/f": inside("x") },
    },
    {
      name: "DirectoryOverrideSymlinkAndHardlink",
      layers: [
        [
          etc,
          file("etc/f", "x"),
          symlink("l", "etc"),
          hardlink("h", "etc/f"),
          directory("l"),
          file("l/f", "y"),
          file("h", "z"),
        ],
      ],
      wanted: { "etc/f": inside("x"), "l/f": inside("y"), h: inside("z") },
    },
  ];
}

function whiteouts(): HostileTar[] {
  const below = [etc, file("etc/f", "x"), file("g", "y")];
  const invalid = (name: string, path: string): HostileTar => ({
    name,
    layers: [below, [file(path)]],
    wanted: { "etc/f": inside("x"), g: inside("y") },
    refused: "LAYER_INVALID",
  });
  return [
    invalid("WhiteoutRootParent", ".wh..."),
    invalid("WhiteoutParent", "etc/.wh..."),
    invalid("WhiteoutRoot", ".wh.."),
    invalid("WhiteoutCurrentDirectory", "etc/.wh.."),
    invalid("WhiteoutEmpty", "etc/.wh."),
    {
      name: "WhiteoutSymlink",
      layers: [[...below, symlink("l", "etc")], [whiteout("l")]],
      wanted: { "etc/f": inside("x"), l: "absent" },
    },
    {
      name: "WhiteoutSymlinkPath",
      layers: [[...below, symlink("l", "etc")], [whiteout("l/f")]],
      wanted: { "etc/f": "absent", l: { link: "etc" } },
    },
    {
      name: "WhiteoutSymlinkPathOutside",
      layers: [
        [...below, symlink("l", "../outside"), symlink("m", "..")],
        [whiteout("l/etc"), opaque("l"), whiteout("m/outside")],
      ],
      wanted: { "etc/f": inside("x") },
    },
    {
      name: "OpaqueThroughLinkToRoot",
      layers: [
        [...below, symlink("l", "/")],
        [opaque("l"), file("new", "n")],
      ],
      wanted: { g: "absent", l: "absent", etc: "absent", new: inside("n") },
    },
    {
      name: "WhiteoutDirectoryName",
      layers: [below, [file(".wh.etc/somefile", "s")]],
      wanted: { "etc/f": inside("x"), ".wh.etc/somefile": inside("s") },
    },
    {
      name: "WhiteoutDeadSymlinkParent",
      layers: [
        [...below, symlink("dead", "nowhere")],
        [whiteout("dead/etc"), opaque("dead")],
      ],
      wanted: { "etc/f": inside("x"), dead: { link: "nowhere" }, nowhere: "absent" },
    },
    {
      name: "WhiteoutUnderFile",
      layers: [below, [whiteout("g/x"), opaque("g")]],
      wanted: { g: inside("y") },
    },
    {
      name: "WhiteoutRelativePath",
      layers: [below, [{ type: "file", path: "dne/../.wh.etc" }]],
      wanted: { etc: "absent", g: inside("y"), dne: "absent" },
    },
    {
      name: "ReservedAufsNames",
      layers: [[file(".wh..wh.aufs"), directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", "x"), file("g", "y")]],
      wanted: { ".wh..wh.aufs": "absent", ".wh..wh.plnk": "absent", g: inside("y") },
    },
  ];
}

function deep(levels: number): string {
  return "d/".repeat(levels);
}

function degenerate(): HostileTar[] {
  return [
    {
      name: "NothingButRoots",
      layers: [[directory(""), directory("/"), directory("."), symlink("./", "x"), file("/..")]],
    },
    { name: "FileUnderFile", layers: [[file("f", "x"), file("f/g", "y")]], refused: "LAYER_INVALID" },
    { name: "NameTooLong", layers: [[file("n".repeat(300))]], refused: "LAYER_INVALID" },
    { name: "SymlinkWithoutTarget", layers: [[symlink("l", "")]], refused: "LAYER_INVALID" },
    { name: "Depth500", layers: [[file(`${deep(500)}f`, "x")], [whiteout("d")]], wanted: { d: "absent" } },
    { name: "Depth600", layers: [[file(`${deep(600)}f`)]], refused: "LAYER_LIMIT" },
    {
      name: "DepthThroughLink",
      layers: [[file(`${deep(300)}f`), symlink("l", deep(300)), file(`l/${deep(300)}f`)]],
      refused: "LAYER_LIMIT",
    },
  ];
}
