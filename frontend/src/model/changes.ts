// What was edited of a workspace, and what is sent of it: only what has changed.
import type { Workspace, WorkspaceUpdate } from '../api/types';

export interface Edited {
  name: string;
  image: string;
  /** '' = as it is found to be. */
  profile: string;
  /** 0 = where the profile says. */
  port: number;
  cpus: number;
  memory: number;
  shm: number;
  processes: number;
  gpus: number;
  volumeSize: number;
  containerSize: number;
  idleTimeout: number;
}

export function editedFrom(workspace: Workspace): Edited {
  return {
    name: workspace.display_name,
    image: workspace.container_image,
    profile: workspace.profile,
    port: workspace.port,
    cpus: workspace.compute.cpus,
    memory: workspace.compute.memory,
    shm: workspace.compute.shm,
    processes: workspace.compute.processes,
    gpus: workspace.compute.gpus,
    volumeSize: workspace.storage.volume_size,
    containerSize: workspace.storage.container_size,
    idleTimeout: workspace.idle_timeout,
  };
}

/** undefined: nothing has changed. */
export function updateOf(workspace: Workspace, edited: Edited): WorkspaceUpdate | undefined {
  const before = editedFrom(workspace);
  const changed = (field: keyof Edited): boolean => clean(edited[field]) !== before[field];
  const compute: WorkspaceUpdate['compute'] = {};
  for (const field of ['cpus', 'memory', 'shm', 'processes', 'gpus'] as const) if (changed(field)) compute[field] = edited[field];
  const storage = {
    ...(changed('volumeSize') ? { volume_size: edited.volumeSize } : {}),
    ...(changed('containerSize') ? { container_size: edited.containerSize } : {}),
  };
  const update: WorkspaceUpdate = {
    ...(changed('name') ? { display_name: edited.name.trim() } : {}),
    ...(changed('image') ? { container_image: edited.image.trim() } : {}),
    // Nobody has said what the new image is: the server finds out.
    ...(changed('profile') && edited.profile !== '' ? { profile: edited.profile } : {}),
    ...(changed('port') ? { port: edited.port } : {}),
    ...(Object.keys(compute).length > 0 ? { compute } : {}),
    ...(Object.keys(storage).length > 0 ? { storage } : {}),
    ...(changed('idleTimeout') ? { idle_timeout: edited.idleTimeout } : {}),
  };
  return Object.keys(update).length === 0 ? undefined : update;
}

function clean(value: string | number): string | number {
  return typeof value === 'string' ? value.trim() : value;
}
