/** Every operation of the API, and where it is. Clients need no more than this of the routes; what each takes and gives is in routes.ts. */
export const OPERATIONS = {
  getVersion: "GET /v1/version",
  listImages: "GET /v1/images",
  getImage: "GET /v1/images/{name}",
  removeImage: "DELETE /v1/images/{name}",
  getStrata: "GET /v1/images/{name}/layers",
  tagImage: "POST /v1/images/{name}/tag",
  createPull: "POST /v1/pulls",
  createPlan: "POST /v1/plans",
  listSnapshots: "GET /v1/snapshots",
  createSnapshot: "POST /v1/snapshots",
  commitSnapshot: "POST /v1/snapshots/{key}/commit",
  getMounts: "GET /v1/snapshots/{key}/mounts",
  getUsage: "GET /v1/snapshots/{key}/usage",
  removeSnapshot: "DELETE /v1/snapshots/{key}",
  listDeltas: "GET /v1/deltas",
  getDelta: "GET /v1/deltas/{name}",
  createDelta: "POST /v1/deltas",
  listDisks: "GET /v1/disks",
  getDisk: "GET /v1/disks/{image}",
  importDisk: "POST /v1/disks/import",
  exportDisk: "POST /v1/disks/export",
  startGc: "POST /v1/gc",
  previewGc: "GET /v1/gc",
  startFsck: "POST /v1/fsck",
  getDiskUsage: "GET /v1/df",
  listJobs: "GET /v1/jobs",
  getJob: "GET /v1/jobs/{id}",
  followJob: "GET /v1/jobs/{id}/events",
  cancelJob: "DELETE /v1/jobs/{id}",
  followJobs: "GET /v1/events",
} as const;

export type OperationId = keyof typeof OPERATIONS;
export type Method = "GET" | "POST" | "DELETE";

export function placeOf(id: OperationId): { readonly method: Method; readonly path: string } {
  const [method, path] = OPERATIONS[id].split(" ") as [Method, string];
  return { method, path };
}
