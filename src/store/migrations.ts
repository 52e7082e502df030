/**
 * The schema of meta.db, one step for each version; `PRAGMA user_version` says how many were taken. Steps are only ever
 * added. Times are milliseconds since 1970.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE images (
    name          TEXT PRIMARY KEY,
    -- the descriptor of the root manifest or index, as pulled
    digest        TEXT NOT NULL,
    media_type    TEXT NOT NULL,
    size          INTEGER NOT NULL,
    -- the descriptor (JSON) of the manifest that was chosen for a platform; the root itself when that is a manifest
    manifest      TEXT NOT NULL,
    config_digest TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- what is known of layer blobs that were verified once
  CREATE TABLE layers (
    digest            TEXT PRIMARY KEY,
    diff_id           TEXT NOT NULL,
    media_type        TEXT NOT NULL,
    size              INTEGER NOT NULL,
    uncompressed_size INTEGER NOT NULL,
    entries           INTEGER NOT NULL,
    verified_at       INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX layers_by_diff_id ON layers (diff_id);

  CREATE TABLE leases (
    id         TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE lease_resources (
    digest   TEXT NOT NULL,
    lease_id TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
    PRIMARY KEY (digest, lease_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX lease_resources_by_lease ON lease_resources (lease_id);

  -- index_wanted counts changes of images; index_written is the count that index.json shows
  CREATE TABLE state (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO state VALUES ('index_wanted', 0), ('index_written', 0);
  `,
  `
  CREATE TABLE snapshots (
    -- never used again, for it names a folder
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    driver     TEXT NOT NULL,
    -- of an active snapshot or view its key, of a committed one its name
    key        TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('active', 'view', 'committed')),
    parent     INTEGER REFERENCES snapshots (id),
    diff_id    TEXT,
    -- the snapshot whose folder holds the tree, when it is shared; it may be gone, and its folder stays as long as it is named here
    tree       INTEGER,
    bytes      INTEGER NOT NULL,
    inodes     INTEGER NOT NULL,
    -- a JSON object of strings
    labels     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (driver, key)
  ) STRICT;
  CREATE INDEX snapshots_by_parent ON snapshots (parent);
  CREATE INDEX snapshots_by_tree ON snapshots (tree);
  CREATE INDEX snapshots_by_diff_id ON snapshots (diff_id);

  -- when the blob was given up because its layer is held unpacked
  ALTER TABLE layers ADD COLUMN discarded_at INTEGER;
  `,
  `
  -- how fast registries were, a row for each pull that told
  CREATE TABLE registry_rates (
    id               INTEGER PRIMARY KEY,
    host             TEXT NOT NULL,
    bytes_per_second INTEGER NOT NULL,
    measured_at      INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX registry_rates_by_host ON registry_rates (host);
  `,
  `
  -- what the disks of virtual machines hold, whose files are in disks/. Rows may outlive their file, and then say nothing
  CREATE TABLE disks (
    key        TEXT PRIMARY KEY,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE disk_contents (
    -- of the bytes at [offset, offset + size) of the disk
    digest TEXT NOT NULL,
    disk   TEXT NOT NULL REFERENCES disks (key) ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    PRIMARY KEY (digest, disk, offset)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX disk_contents_by_disk ON disk_contents (disk, offset);
  `,
  `
  -- what is served under /v2/: pushed to this machine, or cached of other registries (HOST/NAME)
  CREATE TABLE repositories (
    id         INTEGER PRIMARY KEY,
    origin     TEXT NOT NULL CHECK (origin IN ('hosted', 'mirror')),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (origin, name)
  ) STRICT;
  -- what a repository has; the bytes are blobs of the store, and are needed as long as a row names them
  CREATE TABLE repository_contents (
    repository   INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL CHECK (kind IN ('blob', 'manifest')),
    digest       TEXT NOT NULL,
    size         INTEGER NOT NULL,
    -- of a manifest
    media_type   TEXT,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (repository, kind, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX repository_contents_by_digest ON repository_contents (digest);
  CREATE TABLE repository_tags (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    tag        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX repository_tags_by_digest ON repository_tags (repository, digest);
  CREATE TABLE repository_referrers (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    subject    TEXT NOT NULL,
    digest     TEXT NOT NULL,
    -- the entry (JSON) in the list of the subject's referrers
    descriptor TEXT NOT NULL,
    PRIMARY KEY (repository, subject, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX repository_referrers_by_digest ON repository_referrers (repository, digest);
  `,
];

export const SCHEMA_VERSION: number = MIGRATIONS.length;
