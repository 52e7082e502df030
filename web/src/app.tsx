/** The frame around the views: the way between them, the daemon's presence, the token, light and dark. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { onTokenWanted, setToken } from "./api/token.ts";
import { LiveContext, useLiveSource } from "./live.ts";
import { Boundary } from "./parts/boundary.tsx";
import { Presence } from "./parts/presence.tsx";
import { Textures } from "./parts/strip.tsx";
import { ThemeSwitch } from "./parts/theme-switch.tsx";
import { TokenForm } from "./parts/token-form.tsx";
import { href, useRoute, VIEWS, type Route, type View } from "./route.ts";
import { DeltasView } from "./views/deltas-view.tsx";
import { DiskView } from "./views/disk-view.tsx";
import { ImagesView } from "./views/images-view.tsx";
import { JobsView } from "./views/jobs-view.tsx";
import { PullsView } from "./views/pulls-view.tsx";
import { UpdatesView } from "./views/updates-view.tsx";

const TITLES: Readonly<Record<View, string>> = {
  images: "Images",
  pulls: "Pulls",
  updates: "Updates",
  deltas: "Deltas",
  disk: "Disk",
  jobs: "Jobs",
};

export function App() {
  const route = useRoute();
  const [session, setSession] = useState(0);
  const [isTokenWanted, setTokenWanted] = useState(false);
  const live = useLiveSource(session);
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);

  useEffect(() => onTokenWanted(() => setTokenWanted(true)), []);
  useEffect(() => {
    document.title = `${TITLES[route.view]} · varve`;
    // Whoever uses a screen reader is told of the new view; the first one is where the browser begins anyway.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [route.view]);

  const enter = useCallback((text: string) => {
    setToken(text);
    setTokenWanted(false);
    setSession((session) => session + 1);
  }, []);

  return (
    <LiveContext.Provider value={live}>
      <Textures />
      <a class="skip" href="#main" onClick={(event) => skipTo(event, main.current)}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={href("images")} aria-label="varve, to the images">
          <Mark />
          <span>varve</span>
        </a>
        <nav aria-label="Views">
          <ul>
            {VIEWS.map((view) => (
              <li key={view}>
                <a href={href(view)} aria-current={view === route.view ? "page" : undefined}>
                  {TITLES[view]}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="top-end">
          <Presence connection={live.connection} />
          <ThemeSwitch />
        </div>
      </header>
      <main id="main" tabIndex={-1} ref={main} aria-labelledby="title">
        <h1 id="title">{TITLES[route.view]}</h1>
        {isTokenWanted ? (
          <TokenForm onEnter={enter} wasWrong={session > 0} />
        ) : (
          <Boundary key={`${session} ${route.view}`}>
            <Shown {...route} />
          </Boundary>
        )}
      </main>
    </LiveContext.Provider>
  );
}

function Shown({ view, subject }: Route) {
  switch (view) {
    case "images":
      return <ImagesView name={subject} />;
    case "pulls":
      return <PullsView id={subject} />;
    case "updates":
      return <UpdatesView name={subject} />;
    case "deltas":
      return <DeltasView />;
    case "disk":
      return <DiskView />;
    case "jobs":
      return <JobsView id={subject} />;
  }
}

/** The address says which view it is, so the link must not change it. */
function skipTo(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.focus();
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <path class="mark-silt" d="M4 8q6-3.500 12 0t12 0v4.500q-6 3.500-12 0t-12 0z" />
      <path class="mark-clay" d="M4 14.500q6-3.500 12 0t12 0v2.500q-6 3.500-12 0t-12 0z" />
      <path class="mark-ochre" d="M4 19q6-3.500 12 0t12 0v2q-6 3.500-12 0t-12 0z" />
      <path class="mark-iron" d="M4 23q6-3.500 12 0t12 0v4q-6 3.500-12 0t-12 0z" />
    </svg>
  );
}
