/**
 * Node's own modules, got by name. An `import` of them reads every one of their exports, also those that are made when they are first
 * asked for: of `node:http` these are Node's copy of undici, 30 ms, which is as long as Node itself takes to start.
 */
export function builtinHttp() {
  return process.getBuiltinModule("node:http");
}

export function builtinHttps() {
  return process.getBuiltinModule("node:https");
}

export function builtinTls() {
  return process.getBuiltinModule("node:tls");
}
