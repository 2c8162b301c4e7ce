// What the create page has filled in or been told, and what is asked of the server with it.
import type { Host, Image, Limits, Volume, Workspace, WorkspaceInput } from '../api/types';
import { nameForImage, proposeName } from './propose';

export interface Draft {
  /** An offered image; undefined: the one typed in. */
  image: Image | undefined;
  anyImage: string;
  /** What was typed; undefined: the proposal stands. */
  name: string | undefined;
  /** A kept volume; undefined: a new one. */
  volume: Volume | undefined;
  cpus: number;
  memory: number;
  idleTimeout: number;
  volumeSize: number;
  containerSize: number;
}

export function newDraft(images: Image[], limits: Limits, wish: { anyImage: boolean; volume: Volume | undefined }): Draft {
  return {
    image: wish.anyImage ? undefined : (images.find((image) => image.default) ?? images[0]),
    anyImage: '',
    name: undefined,
    volume: wish.volume,
    cpus: limits.cpus.default,
    memory: limits.memory.default,
    idleTimeout: limits.idle_timeout.default,
    volumeSize: limits.volume_size.default,
    containerSize: limits.container_size.default,
  };
}

export function nameOf(draft: Draft, taken: readonly string[]): string {
  return draft.name ?? proposeName(draft.volume?.display_name ?? nameForImage(draft.image?.name ?? draft.anyImage), taken);
}

export function inputOf(draft: Draft, taken: readonly string[]): WorkspaceInput & { display_name: string } {
  return {
    display_name: nameOf(draft, taken).trim(),
    ...(draft.image === undefined
      ? { container_image: draft.anyImage.trim() }
      : { container_image: draft.image.image, profile: draft.image.profile }),
    compute: { cpus: draft.cpus, memory: draft.memory },
    storage: {
      ...(draft.volume === undefined ? {} : { volume: draft.volume.name }),
      volume_size: draft.volumeSize,
      container_size: draft.containerSize,
    },
    idle_timeout: draft.idleTimeout,
  };
}

export interface Holding {
  cpus: number;
  memory: number;
  /** Whether limits together stay within what the machine has. */
  fits: boolean;
}

/** What limits would hold of the machine with this one running too. */
export function holdingWith(draft: Pick<Draft, 'cpus' | 'memory'>, workspaces: Workspace[], host: Host): Holding {
  const running = workspaces.filter((workspace) => workspace.desired === 'running' && (workspace.status === 'running' || workspace.status === 'pending'));
  const cpus = running.reduce((sum, workspace) => sum + workspace.compute.cpus, draft.cpus);
  const memory = running.reduce((sum, workspace) => sum + workspace.compute.memory, draft.memory);
  return { cpus, memory, fits: cpus <= host.cpus && memory <= host.memory };
}
