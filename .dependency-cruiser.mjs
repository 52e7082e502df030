// The rooms of src/ and which way their doors open: a room imports only rooms named before it, plus errors and oci.
const rooms = [
  "errors",
  "oci",
  "sys",
  "codec",
  "registry",
  "store",
  "recipe",
  "layer",
  "snapshot",
  "plan",
  "disk",
  "delta",
  "transfer",
  "daemon",
  "cli",
  "workers",
];

const doors = rooms.slice(0, -1).map((room, at) => ({
  name: `door-of-${room}`,
  comment: `src/${room} may import only the rooms before it`,
  severity: "error",
  from: { path: `^src/${room}/`, pathNot: "\\.(test|suite)\\.ts$" },
  to: { path: `^src/(${rooms.slice(at + 1).join("|")})/` },
}));

export default {
  forbidden: [
    ...doors,
    {
      name: "only-sys-calls-native-code",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/sys/" },
      to: { path: "node_modules/koffi" },
    },
    {
      name: "only-workers-start-threads",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/workers/|\\.test\\.ts$" },
      to: { path: "^(node:)?worker_threads$", dependencyTypes: ["core"] },
    },
    {
      // Types may know each other; code that runs may not.
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "product-never-imports-tests",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.(test|suite)\\.ts$" },
      to: { path: "^(test|bench)/|\\.(test|suite)\\.ts$" },
    },
    {
      name: "dev-dependencies-stay-out",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.(test|suite)\\.ts$" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "page-knows-only-the-client",
      comment: "what the page loads is small and needs no Node; types may come from the API's schemas",
      severity: "error",
      from: { path: "^web/src/", pathNot: "\\.test\\.ts$" },
      to: { path: "^src/", pathNot: "^src/(daemon/client/|errors/)", dependencyTypesNot: ["type-only"] },
    },
    { name: "page-stands-alone", severity: "error", from: { path: "^src/" }, to: { path: "^web/" } },
    { name: "nothing-unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      extensions: [".ts", ".tsx", ".js", ".mjs"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node"],
    },
  },
};
