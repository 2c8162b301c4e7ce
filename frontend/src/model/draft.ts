// What the create page has filled in or been told, and what is asked of the server with it.
import type { Amount, Image, Limits, Quota, Volume, WorkspaceInput } from '../api/types';
import { nameForImage, proposeName } from './propose';

interface Sizes {
  cpus: number;
  memory: number;
  shm: number;
  processes: number;
  gpus: number;
  idleTimeout: number;
  volumeSize: number;
  containerSize: number;
}

export interface Draft extends Sizes {
  /** An offered image; undefined: the one typed in. */
  image: Image | undefined;
  anyImage: string;
  /** What was typed; undefined: the proposal stands. */
  name: string | undefined;
  /** A kept volume; undefined: a new one. */
  volume: Volume | undefined;
  /** Another kind than the image was offered or found as; '' = that one. */
  profile: string;
  /** Where the IDE listens; 0 = where the profile says. */
  port: number;
}

export function newDraft(images: Image[], limits: Limits, wish: { anyImage: boolean; volume: Volume | undefined }): Draft {
  return {
    image: wish.anyImage ? undefined : (images.find((image) => image.default) ?? images[0]),
    anyImage: '',
    name: undefined,
    volume: wish.volume,
    profile: '',
    port: 0,
    ...sizesOf(limits),
  };
}

function sizesOf(limits: Limits): Sizes {
  return {
    cpus: limits.cpus.default,
    memory: limits.memory.default,
    shm: limits.shm.default,
    processes: limits.processes.default,
    gpus: limits.gpus.default,
    idleTimeout: limits.idle_timeout.default,
    volumeSize: limits.volume_size.default,
    containerSize: limits.container_size.default,
  };
}

export function nameOf(draft: Draft, taken: readonly string[]): string {
  return draft.name ?? proposeName(draft.volume?.display_name ?? nameForImage(draft.image?.name ?? draft.anyImage), taken);
}

/** The kind of image, as far as it is known here; '' = the server finds out. */
export function profileOf(draft: Pick<Draft, 'profile' | 'image'>): string {
  return draft.profile !== '' ? draft.profile : (draft.image?.profile ?? '');
}

export function inputOf(draft: Draft, taken: readonly string[]): WorkspaceInput & { display_name: string } {
  return {
    display_name: nameOf(draft, taken).trim(),
    container_image: draft.image === undefined ? draft.anyImage.trim() : draft.image.image,
    ...(profileOf(draft) === '' ? {} : { profile: profileOf(draft) }),
    ...(draft.port === 0 ? {} : { port: draft.port }),
    compute: {
      cpus: draft.cpus,
      memory: draft.memory,
      shm: draft.shm,
      processes: draft.processes,
      ...(draft.gpus === 0 ? {} : { gpus: draft.gpus }),
    },
    storage: {
      ...(draft.volume === undefined ? {} : { volume: draft.volume.name }),
      volume_size: draft.volumeSize,
      container_size: draft.containerSize,
    },
    idle_timeout: draft.idleTimeout,
  };
}

/** Numbers that nobody has touched follow the limits: another kind of image may have other ones. */
export function followLimits(draft: Draft, before: Limits, after: Limits): Draft {
  const was = sizesOf(before);
  const is = sizesOf(after);
  const follow = (field: keyof Sizes): number => (draft[field] === was[field] ? is[field] : draft[field]);
  return {
    ...draft, cpus: follow('cpus'), memory: follow('memory'), shm: follow('shm'), processes: follow('processes'), gpus: follow('gpus'),
    idleTimeout: follow('idleTimeout'), volumeSize: follow('volumeSize'), containerSize: follow('containerSize'),
  };
}

/** What a user holds once this one runs, too. */
export function quotaWith(quota: Quota, draft: Pick<Draft, 'cpus' | 'memory' | 'gpus' | 'volumeSize' | 'volume'>): Pick<Quota, 'cpus' | 'memory' | 'gpus' | 'storage'> {
  const plus = (amount: Amount, more: number): Amount => ({ ...amount, used: null, reserved: amount.reserved + more });
  return {
    cpus: plus(quota.cpus, draft.cpus),
    memory: plus(quota.memory, draft.memory),
    gpus: plus(quota.gpus, draft.gpus),
    storage: plus(quota.storage, draft.volumeSize),
  };
}
