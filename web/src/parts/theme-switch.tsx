/** Light, dark, or as the system has it; the choice is kept by the browser. */
import { useEffect, useState } from "preact/hooks";

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const KEY = "varve-theme";

export function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(() => THEMES.find((name) => name === localStorage.getItem(KEY)) ?? "auto");
  useEffect(() => {
    localStorage.setItem(KEY, theme);
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    // Drawings on a canvas have to be told.
    window.dispatchEvent(new Event("varve-theme"));
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
  return (
    <button
      type="button"
      class="quiet theme"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={() => setTheme(next)}
    >
      <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
        <circle cx="10" cy="10" r="7.500" class="theme-ring" />
        {theme === "light" && <circle cx="10" cy="10" r="3.500" class="theme-fill" />}
        {theme === "dark" && <circle cx="10" cy="10" r="7.500" class="theme-fill" />}
        {theme === "auto" && <path d="M10 2.500a7.500 7.500 0 0 1 0 15z" class="theme-fill" />}
      </svg>
    </button>
  );
}
