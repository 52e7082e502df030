/** Answers of the API held to their schemas by a validator that is not the daemon's own. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { expect } from "vitest";
import { errorBody } from "../../../src/daemon/api/schemas/common.ts";
import type { OperationId } from "../../../src/daemon/api/schemas/operations.ts";
import { ROUTES, type RouteSpec } from "../../../src/daemon/api/schemas/routes.ts";
import { ERROR_TABLE, type ErrorCode } from "../../../src/errors/table.ts";
import type { CallAnswer } from "../net/call.ts";

const ajv = new Ajv2020({ strict: false, allErrors: true });
const compiled = new Map<object, ValidateFunction>();

/** Fails unless the value is what the schema says. */
export function mustMatch(schema: object, value: unknown, what: string): void {
  const validate = compiled.get(schema) ?? ajv.compile(schema);
  compiled.set(schema, validate);
  const isGood = validate(value);
  if (!isGood)
    expect.fail(`${what} is not as its schema says: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value)}`);
}

/** Fails unless it is the operation's good answer, to the letter of its schema. */
export function mustBeGood(id: OperationId, answer: CallAnswer): void {
  const { status, answer: schema }: RouteSpec = ROUTES[id];
  if (answer.status !== status) expect.fail(`${id}: ${answer.status} ${answer.bytes.toString()}`);
  expect(answer.headers["cache-control"]).toBe("no-store");
  if (schema === null) expect(answer.bytes.length).toBe(0);
  else mustMatch(schema, answer.json(), id);
}

/** Fails unless it is a coded error in JSON with the status of its code. */
export function mustBeCoded(answer: CallAnswer, what: string, schema: object = errorBody): ErrorCode {
  expect(`${answer.headers["content-type"]} of ${what}`).toMatch(/^application\/json/);
  mustMatch(schema, answer.json(), what);
  const { code } = answer.json()["error"] as { code: ErrorCode };
  expect([what, code, answer.status]).toEqual([what, code, ERROR_TABLE[code].http]);
  return code;
}
