/** What a container has that its image does not speak of: the mounts, namespaces and limits that `runc spec` writes. */
export interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export const CAPABILITIES: readonly string[] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

export const NAMESPACES = namespaces("pid", "network", "ipc", "uts", "mount");

/** Without a network namespace, as an unprivileged one would have no way out. */
export const ROOTLESS_NAMESPACES = namespaces("pid", "ipc", "uts", "mount", "user");

export const MASKED_PATHS: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
];

export const READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

const SAFE = ["nosuid", "noexec", "nodev"];

export function defaultMounts(): Mount[] {
  return [
    ...commonMounts(["gid=5"]),
    mount("/sys", "sysfs", "sysfs", [...SAFE, "ro"]),
    mount("/sys/fs/cgroup", "cgroup", "cgroup", [...SAFE, "relatime", "ro"]),
  ];
}

/** Group 5 is not mapped; sysfs can't be mounted without owning the network namespace, so the host's is bound. */
export function rootlessMounts(): Mount[] {
  return [...commonMounts([]), mount("/sys", "none", "/sys", ["rbind", ...SAFE, "ro"])];
}

/** A place that stays writable, to the container's user, in a container with a read-only root. */
export function volumeMount(destination: string, owner: { readonly uid: number; readonly gid: number }): Mount {
  const options = ["nosuid", "nodev", "mode=755", `uid=${owner.uid}`, `gid=${owner.gid}`];
  return mount(destination, "tmpfs", "tmpfs", options);
}

function commonMounts(ptsOptions: readonly string[]): Mount[] {
  return [
    mount("/proc", "proc", "proc", SAFE),
    mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    mount("/dev/pts", "devpts", "devpts", [
      "nosuid",
      "noexec",
      "newinstance",
      "ptmxmode=0666",
      "mode=0620",
      ...ptsOptions,
    ]),
    mount("/dev/shm", "tmpfs", "shm", [...SAFE, "mode=1777", "size=65536k"]),
    mount("/dev/mqueue", "mqueue", "mqueue", SAFE),
  ];
}

function mount(destination: string, type: string, source: string, options: readonly string[]): Mount {
  return { destination, type, source, options };
}

function namespaces(...types: readonly string[]): readonly { readonly type: string }[] {
  return types.map((type) => ({ type }));
}
