/** The tables of jobs.db. It is a database of its own: what becomes of jobs is no part of the store, and goes without harm to it. */

/** By version; each step leads to the next. */
export const STEPS: readonly string[] = [
  `
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    input TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Which claim is the last one; unlike attempts it never goes back, so that an old claim is told from a new one.
    claim INTEGER NOT NULL DEFAULT 0,
    -- The process whose lock says that it is alive.
    owner TEXT,
    worker TEXT,
    -- Milliseconds since 1970, as are all times.
    not_before INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    result TEXT,
    error TEXT,
    -- When it was changed, counted over all jobs.
    change INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX jobs_by_state ON jobs (state, kind, seq);
  CREATE INDEX jobs_by_change ON jobs (change);
  CREATE INDEX jobs_by_end ON jobs (ended_at) WHERE ended_at IS NOT NULL;
  CREATE TABLE changes (last INTEGER NOT NULL) STRICT;
  INSERT INTO changes VALUES (0);
  `,
];
