/**
 * One line, typed key by key. In raw mode the terminal neither shows nor edits nor turns Ctrl-C into a signal, so that
 * Backspace, Ctrl-U, Ctrl-C, Ctrl-D and Enter are done here; keys that send escape sequences (arrows) do nothing.
 */
export class LineEditor {
  #text = "";
  #state: "typing" | "entered" | "left" = "typing";
  #escape: "none" | "begun" | "sequence" = "none";

  get text(): string {
    return this.#text;
  }

  /** `left` after Ctrl-C, or Ctrl-D on an empty line. */
  get state(): "typing" | "entered" | "left" {
    return this.#state;
  }

  /** Takes a key; returns what shows its effect on a terminal that echoes. */
  press(key: string): string {
    if (this.#isInEscape(key)) return "";
    switch (key) {
      case "\r":
      case "\n":
        this.#state = "entered";
        return "";
      case "\u0003":
        this.#state = "left";
        return "";
      case "\u0004":
        this.#state = this.#text === "" ? "left" : "entered";
        return "";
      case "\u007f":
      case "\b":
        return this.#erase(1);
      case "\u0015":
        return this.#erase(Infinity);
      default:
        if (key < " " || (key >= "\u0080" && key <= "\u009f")) return "";
        this.#text += key;
        return key;
    }
  }

  #erase(count: number): string {
    const characters = Array.from(this.#text);
    const kept = characters.slice(0, Math.max(0, characters.length - count));
    this.#text = kept.join("");
    return "\b \b".repeat(characters.length - kept.length);
  }

  /** ECMA-48: ESC [ or ESC O, parameters, a final byte from @ to ~. */
  #isInEscape(key: string): boolean {
    switch (this.#escape) {
      case "none":
        if (key !== "\u001b") return false;
        this.#escape = "begun";
        return true;
      case "begun":
        this.#escape = key === "[" || key === "O" ? "sequence" : "none";
        // ESC before an ordinary key (Alt) is dropped with it; before Enter or Ctrl-C it does not hide that key.
        return key >= " ";
      case "sequence":
        if (key >= "@" && key <= "~") this.#escape = "none";
        return true;
    }
  }
}
