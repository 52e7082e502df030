/** How images and digests are written, so that what matters is read first. */
import { useState } from "preact/hooks";
import { shortDigest, splitName } from "../model/format.ts";

export function ImageName({ name }: { readonly name: string }) {
  const { folder, last, tag } = splitName(name);
  return (
    <span class="image-name">
      <span class="image-folder">{folder}</span>
      <wbr />
      <b>{last}</b>
      <span class="image-tag">{tag}</span>
    </span>
  );
}

/** Short, with a button that copies all of it. */
export function DigestText({ digest }: { readonly digest: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(digest).catch(() => {});
    setCopied(true);
  };
  return (
    <span class="digest">
      <code title={digest}>{shortDigest(digest)}</code>
      {/* Browsers offer the clipboard to pages of loopback and TLS only. */}
      {window.isSecureContext && (
        <button type="button" class="quiet small" aria-label={`Copy ${digest}`} onClick={() => void copy()}>
          {isCopied ? "copied" : "copy"}
        </button>
      )}
    </span>
  );
}
