/** Repositories' rows out of a database that is damaged, as far as they can be read, and into the one that takes its place. */
import type { SQLInputValue } from "node:sqlite";
import type { Connection } from "./connection.ts";
import type { RepositoryRows } from "./repository-types.ts";

/** In this order: the others belong to the first. */
const TABLES = ["repositories", "repository_contents", "repository_tags", "repository_referrers"];

export function readRows(connection: Connection): RepositoryRows {
  return Object.fromEntries(TABLES.map((table) => [table, readTable(connection, table)]));
}

function readTable(connection: Connection, table: string): RepositoryRows[string] {
  try {
    return connection.all(`SELECT * FROM ${table}`);
  } catch {
    return [];
  }
}

export function writeRows(connection: Connection, rows: RepositoryRows): void {
  connection.transaction(() => {
    for (const table of TABLES) for (const row of rows[table] ?? []) writeRow(connection, table, row);
  });
}

/** A row that makes no sense, or whose repository could not be read, is left out. */
function writeRow(connection: Connection, table: string, row: RepositoryRows[string][number]): void {
  const names = Object.keys(row);
  const places = names.map(() => "?").join(", ");
  try {
    const values = Object.values(row) as SQLInputValue[];
    connection.run(`INSERT OR IGNORE INTO ${table} (${names.join(", ")}) VALUES (${places})`, ...values);
  } catch {
    // The next one.
  }
}
