// What is known of the server, kept by TanStack Query and patched by events, so that every page shows the same and asks once.
import { queryOptions, skipToken, type QueryClient } from '@tanstack/react-query';
import type { WorkspaceClient } from './client';
import type { Host, LabEvent, Quota, Use, Volume, Workspace } from './types';

export const keys = {
  me: ['me'],
  person: ['person'],
  config: ['config'],
  host: ['host'],
  images: ['images'],
  workspaces: ['workspaces'],
  volumes: ['volumes'],
  quota: ['quota'],
  use: ['use'],
  gone: ['gone'],
  admin: ['admin'],
} as const;

/** Events keep these fresh; they are asked for again only when events do not arrive. */
const keptByEvents = { staleTime: Infinity };

export const queries = {
  me: (client: WorkspaceClient) => queryOptions({ queryKey: keys.me, queryFn: client.me, staleTime: Infinity }),
  person: (client: WorkspaceClient, id: string) => queryOptions({ queryKey: [...keys.person, id], queryFn: () => client.person(id), staleTime: Infinity }),
  host: (client: WorkspaceClient) => queryOptions({ queryKey: keys.host, queryFn: client.host, ...keptByEvents }),
  workspaces: (client: WorkspaceClient) => queryOptions({ queryKey: keys.workspaces, queryFn: client.list, ...keptByEvents }),
  volumes: (client: WorkspaceClient) => queryOptions({ queryKey: keys.volumes, queryFn: client.volumes, ...keptByEvents }),
  quota: (client: WorkspaceClient) => queryOptions({ queryKey: keys.quota, queryFn: client.quota, ...keptByEvents }),
  /** Only events bring it. */
  use: queryOptions<Use[]>({ queryKey: keys.use, queryFn: skipToken, ...keptByEvents }),
  /** Why the last workspace is gone that nobody has deleted here. Only events bring it. */
  gone: queryOptions<{ seq: number; reason: string }>({ queryKey: keys.gone, queryFn: skipToken, ...keptByEvents }),
  limits: (client: WorkspaceClient, profile: string) => queryOptions({ queryKey: ['limits', profile], queryFn: () => client.limits(profile), staleTime: 15_000 }),
  profiles: (client: WorkspaceClient) => queryOptions({ queryKey: ['profiles'], queryFn: client.profiles, staleTime: 60_000 }),
  adminOverview: (client: WorkspaceClient) => queryOptions({ queryKey: [...keys.admin, 'overview'], queryFn: client.adminOverview, refetchInterval: 5_000 }),
  adminAudit: (client: WorkspaceClient) => queryOptions({ queryKey: [...keys.admin, 'audit'], queryFn: client.adminAudit }),
  adminConfig: (client: WorkspaceClient) => queryOptions({ queryKey: [...keys.admin, 'config'], queryFn: client.adminConfig }),
  images: (client: WorkspaceClient) => queryOptions({ queryKey: keys.images, queryFn: client.images, staleTime: 15_000 }),
  config: (client: WorkspaceClient) => queryOptions({ queryKey: keys.config, queryFn: client.config, staleTime: 60_000 }),
};

/** Puts what an event says into the cache. */
export function applyEvent(cache: QueryClient, event: LabEvent): void {
  for (const key of listsReplacedBy(cache, event)) {
    // An answer that is still on its way is older than the event, and must not replace it.
    void cache.cancelQueries({ queryKey: key }, { silent: true });
  }
  switch (event.type) {
    case 'snapshot':
      cache.setQueryData<Workspace[]>(keys.workspaces, event.workspaces);
      cache.setQueryData<Volume[]>(keys.volumes, event.volumes);
      cache.setQueryData<Host>(keys.host, event.host);
      cache.setQueryData<Quota>(keys.quota, event.quota);
      return;
    case 'workspace':
      place(cache, event.workspace);
      return;
    case 'workspace_removed':
      cache.setQueryData<Workspace[]>(keys.workspaces, (list) => list?.filter((workspace) => workspace.id !== event.id));
      if (event.reason !== undefined) cache.setQueryData(keys.gone, { seq: event.seq, reason: event.reason });
      return;
    case 'volumes':
      cache.setQueryData<Volume[]>(keys.volumes, event.volumes);
      return;
    case 'quota':
      cache.setQueryData<Quota>(keys.quota, event.quota);
      return;
    case 'use':
      cache.setQueryData<Use[]>(keys.use, event.use);
      return;
    case 'host': {
      const before = cache.getQueryData<Host>(keys.host);
      cache.setQueryData<Host>(keys.host, event.host);
      // Which images are here is only known while the engine answers.
      if (before?.reachable !== event.host.reachable) void cache.invalidateQueries({ queryKey: keys.images });
      // A configuration that was read again may allow something else.
      if (before?.config.loaded_at !== event.host.config.loaded_at) {
        for (const key of ['limits', 'profiles', ...keys.images, ...keys.admin]) void cache.invalidateQueries({ queryKey: [key] });
      }
    }
  }
}

function listsReplacedBy(cache: QueryClient, event: LabEvent): (readonly string[])[] {
  switch (event.type) {
    case 'snapshot':
      return [keys.workspaces, keys.volumes, keys.host, keys.quota];
    case 'workspace':
    case 'workspace_removed':
      // One workspace does not stand for the list, if there is none yet.
      return cache.getQueryData(keys.workspaces) === undefined ? [] : [keys.workspaces];
    case 'volumes':
      return [keys.volumes];
    case 'host':
      return [keys.host];
    case 'quota':
      return [keys.quota];
    case 'use':
    case 'alive':
      return [];
  }
}

/** Puts what a call has answered into the list, unless an event has overtaken it: the change can be taken back before its answer is here. */
export function putWorkspace(cache: QueryClient, workspace: Workspace): void {
  const known = cache.getQueryData<Workspace[]>(keys.workspaces)?.find((other) => other.id === workspace.id);
  if (known === undefined || Date.parse(workspace.updated_at) > Date.parse(known.updated_at)) place(cache, workspace);
}

/** Puts one workspace into the list, at its place in the order of creation. */
function place(cache: QueryClient, workspace: Workspace): void {
  // Without a list there is nothing to patch: the list that is being asked for will have it.
  cache.setQueryData<Workspace[]>(keys.workspaces, (list) => list && placed(list, workspace));
}

function placed(list: Workspace[], workspace: Workspace): Workspace[] {
  const index = list.findIndex((other) => other.id === workspace.id);
  if (index >= 0) return list.with(index, workspace);
  const after = list.findIndex((other) => other.created_at > workspace.created_at);
  return after < 0 ? [...list, workspace] : list.toSpliced(after, 0, workspace);
}
