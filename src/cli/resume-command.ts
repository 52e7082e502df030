/** The command line that goes on where this one was stopped, to be pasted into a shell. */

/** Flags whose value nobody should find on a screen or in a log. */
const SECRETS = ["--creds"];

/** `varve pull --root '/my store' debian:12`; without credentials, which then have to be given again. */
export function resumeCommand(args: readonly string[]): {
  readonly command: string;
  readonly lacksCredentials: boolean;
} {
  const end = args.indexOf("--");
  const shown = args.filter((arg, at) => {
    if (end !== -1 && at >= end) return true;
    const value = at > 0 && SECRETS.includes(args[at - 1] ?? "");
    return !value && !SECRETS.some((flag) => arg === flag || arg.startsWith(`${flag}=`));
  });
  return { command: ["varve", ...shown].map(quote).join(" "), lacksCredentials: shown.length < args.length };
}

/** As POSIX shells read it: everything between single quotes is itself. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
