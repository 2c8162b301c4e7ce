// What a server could answer, for tests.
import type { Amount, Host, Image, Limit, Overview, Quota, Step, Storage, Volume, Workspace } from '../src/api/types';

export function limit(part: Partial<Limit> = {}): Limit {
  return { default: 1, max: 4, choices: [], acts: 'enforced', applies: 'live', unit: 'CPUs', ...part };
}

const all = { resize: true, rename: true, volumes: true, measure: true, stats: true, images: true, limits: true, idle: true };

/** A lab, of which is known what it tells. */
export function lab(part: Partial<Host> = {}): Host {
  const { limits } = host();
  return host({
    engine: 'mllab', version: '0.0.23', endpoint: 'http://ml-lab-backend:8080/api', os: 'linux', cpus: 0, memory: 0, storage_driver: '', in_lab: true,
    access: { port: 0, host_suffix: '' },
    can: { resize: false, rename: false, volumes: true, measure: false, stats: false, images: false, limits: false, idle: false },
    limits: {
      ...limits,
      cpus: limit({ applies: 'restart' }),
      memory: limit({ default: 1_000, max: 8_000, unit: 'MB', applies: 'restart' }),
      volume_size: limit({ default: 5_000, max: 50_000, unit: 'MB', acts: 'engine', applies: 'restart' }),
      container_size: limit({ default: 5_000, max: 20_000, unit: 'MB', acts: 'engine', applies: 'restart' }),
      idle_timeout: limit({ default: 0, max: 0, unit: 's', acts: 'engine', applies: 'restart' }),
    },
    ...part,
  });
}

export function host(part: Partial<Host> = {}): Host {
  return {
    engine: 'docker', reachable: true, reason: '', action: '', since: null, version: '28.5.2', endpoint: 'unix:///var/run/docker.sock',
    os: 'Debian', cpus: 8, memory: 32_000, storage_driver: 'overlay2',
    limits: {
      cpus: limit(),
      memory: limit({ default: 2_000, max: 8_000, unit: 'MB' }),
      shm: limit({ default: 0, max: 0, unit: 'MB', applies: 'restart' }),
      processes: limit({ default: 4_096, max: 0, unit: '', applies: 'restart' }),
      gpus: limit({ default: 0, max: 0, unit: '', applies: 'restart' }),
      volume_size: limit({ default: 5_000, max: 50_000, unit: 'MB', acts: 'watched' }),
      container_size: limit({ default: 5_000, max: 20_000, unit: 'MB', acts: 'watched', applies: 'restart' }),
      idle_timeout: limit({ default: 0, max: 0, choices: [0, 3_600], unit: 's', acts: 'watched' }),
    },
    access: { port: 8080, host_suffix: 'localhost' }, product: { name: 'lab-workspace-manager', version: 'test' }, notes: [], in_lab: false, can: all,
    gpus: 0, config: { file: '', problem: '', loaded_at: null, changes: [] },
    ...part,
  };
}

export function workspace(part: Partial<Workspace> = {}): Workspace {
  const id = part.id ?? 'ws-thesis';
  return {
    id, owner: 'ada0', display_name: 'thesis', container_image: 'lab-workspace-minimal:latest', image_name: 'JupyterLab', profile: 'workspace-minimal',
    compute: { cpus: 2, memory: 4_000, shm: 2_000, processes: 4_096, gpus: 0 },
    storage: storage({ volume: `${id}-vol` }), port: 0, gpu_ids: [], gpus_since: null, position: 0, above_limits: [], idle: null, grace_until: null, update_available: '',
    idle_timeout: 0, clear_volume_on_stop: false, desired: 'running', status: 'running', phase: '', reason: '', reason_code: '',
    status_since: '2026-11-12T10:00:00Z', created_at: '2026-11-12T09:00:00Z', updated_at: '2026-11-12T10:00:00Z', access_url: null,
    actions: ['open', 'stop', 'restart', 'update', 'delete'], image_gone: '', pending_restart: [], progress: null,
    ...part,
  };
}

export function storage(part: Partial<Storage> = {}): Storage {
  return {
    volume: 'ws-thesis-vol', volume_size: 5_000, container_size: 5_000, volume_used: null, volume_measured_at: null, volume_acts: 'watched',
    container_used: null, container_measured_at: null, container_acts: 'watched', warning: '', cannot_be_measured: '', ...part,
  };
}

export function amount(part: Partial<Amount> = {}): Amount {
  return { used: null, reserved: 0, quota: null, total: null, unit: '', ...part };
}

export function quota(part: Partial<Quota> = {}): Quota {
  return {
    user: 'ada0', groups: [], waiting: 0, lines: [],
    cpus: amount({ used: 0.5, reserved: 2, total: 8, unit: 'CPUs' }),
    memory: amount({ used: 1_200, reserved: 4_000, total: 32_000, unit: 'MB' }),
    gpus: amount(), storage: amount({ used: 1_000, reserved: 5_000, unit: 'MB' }),
    workspaces: amount({ reserved: 1 }), running: amount({ reserved: 1 }),
    ...part,
  };
}

export function overview(part: Partial<Overview> = {}): Overview {
  return {
    users: [{
      user: 'bob', groups: ['students'], workspaces: 1, running: 1, cpus: 2, memory: 4_000, gpus: 0, storage: 5_000, storage_used: 1_000,
      quota: { workspaces: 0, running: 3, cpus: 0, memory: 8_000, storage: 0, gpus: 0, on_exceed: 'queue' },
    }],
    workspaces: [workspace({ id: 'ws-bob', owner: 'bob', display_name: 'mining' })],
    host: [{ scope: 'host', group: '', resource: 'memory', bound: 16_000, taken: 4_000, unit: 'MB' }],
    gpus: [], ...part,
  };
}

export function step(part: Partial<Step> = {}): Step {
  return { id: 'image', title: 'Image', state: 'waiting', detail: '', current: 0, total: 0, unit: '', started_at: null, ended_at: null, log: [], ...part };
}

export function volume(part: Partial<Volume> = {}): Volume {
  return { name: 'ws-old-vol', owner: 'ada0', display_name: 'old', created_at: '2026-11-01T09:00:00Z', kept_since: '2026-11-10T09:00:00Z', used_by: null, ...part };
}

export function image(part: Partial<Image> = {}): Image {
  return { name: 'JupyterLab', image: 'lab-workspace-minimal:latest', profile: 'workspace-minimal', description: 'Notebooks.', default: true, state: 'here', size_bytes: 1, note: 'here · 412 MB', warning: '', ...part };
}
