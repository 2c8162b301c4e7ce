// What was edited of a workspace, and what is sent of it: only what has changed.
import type { Workspace, WorkspaceUpdate } from '../api/types';

export interface Edited {
  name: string;
  image: string;
  cpus: number;
  memory: number;
  volumeSize: number;
  containerSize: number;
  idleTimeout: number;
}

export function editedFrom(workspace: Workspace): Edited {
  return {
    name: workspace.display_name,
    image: workspace.container_image,
    cpus: workspace.compute.cpus,
    memory: workspace.compute.memory,
    volumeSize: workspace.storage.volume_size,
    containerSize: workspace.storage.container_size,
    idleTimeout: workspace.idle_timeout,
  };
}

/** undefined: nothing has changed. */
export function updateOf(workspace: Workspace, edited: Edited): WorkspaceUpdate | undefined {
  const before = editedFrom(workspace);
  const changed = (field: keyof Edited): boolean => clean(edited[field]) !== before[field];
  const compute = { ...(changed('cpus') ? { cpus: edited.cpus } : {}), ...(changed('memory') ? { memory: edited.memory } : {}) };
  const storage = {
    ...(changed('volumeSize') ? { volume_size: edited.volumeSize } : {}),
    ...(changed('containerSize') ? { container_size: edited.containerSize } : {}),
  };
  const update: WorkspaceUpdate = {
    ...(changed('name') ? { display_name: edited.name.trim() } : {}),
    ...(changed('image') ? { container_image: edited.image.trim() } : {}),
    ...(Object.keys(compute).length > 0 ? { compute } : {}),
    ...(Object.keys(storage).length > 0 ? { storage } : {}),
    ...(changed('idleTimeout') ? { idle_timeout: edited.idleTimeout } : {}),
  };
  return Object.keys(update).length === 0 ? undefined : update;
}

function clean(value: string | number): string | number {
  return typeof value === 'string' ? value.trim() : value;
}
