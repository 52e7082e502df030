/** What pg-boss has no words for, as SQL on its table; held to its version by tests against a real server. */
import { SCHEMA } from "./connection.ts";

/** Longer ones were not written by a worker of ours, and are not read. */
const MAX_INPUT = 64 * 1024;
const MAX_OUTPUT = 4 * 1024 * 1024;

const COLUMNS = `id::text AS id, name, state::text AS state, retry_count, created_on, started_on, completed_on,
  CASE WHEN octet_length(data::text) <= ${MAX_INPUT} THEN data END AS data,
  CASE WHEN octet_length(output::text) <= ${MAX_OUTPUT} THEN output END AS output`;

/** $1 kinds, $2 id */
export const GET = `SELECT ${COLUMNS} FROM ${SCHEMA}.job WHERE name = ANY($1::text[]) AND id = $2::uuid`;

/** $1 kinds, $2 states, $3 how many, $4 how many bytes of input and output in all */
export const LIST = `SELECT ${COLUMNS} FROM ${SCHEMA}.job WHERE name = ANY($1::text[]) AND id IN (
    SELECT id FROM (
      SELECT id, sum(bytes) OVER (ORDER BY created_on DESC, id) AS total FROM (
        SELECT id, created_on, octet_length(data::text) + coalesce(octet_length(output::text), 0) AS bytes
        FROM ${SCHEMA}.job WHERE name = ANY($1::text[]) AND state::text = ANY($2::text[])
        ORDER BY created_on DESC LIMIT $3) AS newest
    ) AS summed WHERE total <= $4)
  ORDER BY created_on DESC`;

/** $1 kinds */
export const DEPTH = `SELECT count(*) FILTER (WHERE state::text IN ('created', 'retry')) AS queued,
    count(*) FILTER (WHERE state::text = 'active') AS running
  FROM ${SCHEMA}.job WHERE name = ANY($1::text[]) AND state < 'completed'`;

/** $1 kinds: the kind of the oldest job that may be tried now. */
export const OLDEST = `SELECT name FROM ${SCHEMA}.job
  WHERE name = ANY($1::text[]) AND state < 'active' AND start_after <= ${SCHEMA}.job_now() ORDER BY created_on LIMIT 1`;

/** What pg-boss has just given out gets its claim's name. $1 kind, $2 id, $3 its count of tries, $4 output */
export const SIGN = `UPDATE ${SCHEMA}.job SET output = $4::jsonb
  WHERE name = $1 AND id = $2::uuid AND state = 'active' AND retry_count = $3 RETURNING id`;

/**
 * $1 kind, $2 id, $3 the claim's name: as long as it is this one's. Not the count of tries, which is that of an earlier claim where that was
 * released.
 */
const MINE = "name = $1 AND id = $2::uuid AND state = 'active' AND output->>'claim' = $3";

export const TOUCH = `UPDATE ${SCHEMA}.job SET heartbeat_on = ${SCHEMA}.job_now() WHERE ${MINE} RETURNING id`;

/** $4 output */
export const DONE = `UPDATE ${SCHEMA}.job SET state = 'completed', completed_on = ${SCHEMA}.job_now(), output = $4::jsonb
  WHERE ${MINE} RETURNING id`;

/** $4 output */
export const FAIL = `UPDATE ${SCHEMA}.job SET state = 'failed', completed_on = ${SCHEMA}.job_now(), output = $4::jsonb
  WHERE ${MINE} RETURNING id`;

/** $4 output, $5 milliseconds */
export const RETRY = `UPDATE ${SCHEMA}.job SET state = 'retry', heartbeat_on = NULL, output = $4::jsonb,
    start_after = ${SCHEMA}.job_now() + $5 * interval '1 millisecond'
  WHERE ${MINE} RETURNING id`;

/** A job that was not started is not counted as tried when it is claimed again. */
export const RELEASE = `UPDATE ${SCHEMA}.job SET state = 'created', started_on = NULL, heartbeat_on = NULL, output = NULL
  WHERE ${MINE} RETURNING id`;

/** $1 channel, $2 payload */
export const NOTIFY = "SELECT pg_notify($1, $2)";
