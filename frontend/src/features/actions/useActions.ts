// What can be done to a workspace, with what follows from it: cache, messages, undo. Rows, menus, pages and keys share it.
import { useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useNavigate } from 'react-router';
import { putWorkspace } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Workspace, WorkspaceInput } from '../../api/types';
import type { NextStep } from '../../model/state';
import { pathTo } from '../../paths';
import { readingTime, useNotice, useReported } from './notices';
import { useOpening } from './opening';
import { alsoRemoved, forgetRemoved } from './removed';

export interface Actions {
  open: (workspace: Workspace) => void;
  start: (workspace: Workspace) => Promise<boolean>;
  /** Also calls a start off. */
  stop: (workspace: Workspace) => Promise<boolean>;
  restart: (workspace: Workspace) => Promise<boolean>;
  /** Takes its deletion back. */
  keep: (workspace: Workspace) => Promise<boolean>;
  /** Keeps it from being stopped for being unused, for its idle timeout once more. */
  extend: (workspace: Workspace) => Promise<boolean>;
  /** Throws what the server has against the name. */
  rename: (workspace: Workspace, name: string) => Promise<void>;
  /** Stops it and offers to start it again: for keys, which are pressed by accident. */
  stopByKey: (workspace: Workspace) => Promise<boolean>;
  /** Deletes it at once; its files are kept, and the message offers to undo. */
  remove: (workspace: Workspace) => Promise<boolean>;
  removeWithFiles: (workspace: Workspace) => Promise<boolean>;
  /** Does the one thing to do next. */
  next: (workspace: Workspace, step: NextStep) => Promise<boolean>;
}

export function useActions(): Actions {
  const client = useClient();
  const cache = useQueryClient();
  const notify = useNotice();
  const reported = useReported();
  const opening = useOpening();
  const navigate = useNavigate();

  return useMemo<Actions>(() => {
    const start = (workspace: Workspace): Promise<boolean> => reported(() => client.start(workspace.id));
    const stop = (workspace: Workspace): Promise<boolean> => reported(() => client.stop(workspace.id));

    const isKept = async (workspace: Workspace): Promise<boolean> =>
      (await client.volumes()).some((volume) => volume.name === workspace.storage.volume && volume.used_by === null);

    const undoRemoves = async (removed: readonly Workspace[]): Promise<void> => {
      forgetRemoved();
      for (const workspace of removed) {
        await reported(async () => putWorkspace(cache, await client.create(sameAgain(workspace, await isKept(workspace)))));
      }
    };
    const tellRemoved = async (workspace: Workspace): Promise<void> => {
      // The message carries what it undoes: it may stay longer than anything that is remembered elsewhere. Noted before anything
      // is waited for: what is made meanwhile begins a new list.
      const removed = alsoRemoved(workspace, readingTime);
      const kept = await isKept(workspace).catch(() => true);
      const what = removed.length === 1 ? workspace.display_name : `${removed.length} workspaces`;
      const files = kept ? (removed.length === 1 ? ' Its files are kept.' : ' Their files are kept.') : '';
      const lost = removed.some((each) => each.status === 'running') ? ` What was not saved in ${removed.length === 1 ? 'it' : 'them'} is gone.` : '';
      notify({ text: `Deleted ${what}.${files}${lost}`, action: { label: 'Undo', run: () => void undoRemoves(removed) } });
    };

    const actions: Actions = {
      open: opening.open,
      start,
      stop,
      stopByKey: async (workspace) => {
        const stopped = await stop(workspace);
        if (stopped) notify({ text: `Stopped ${workspace.display_name}.`, action: { label: 'Start', run: () => void start(workspace) } });
        return stopped;
      },
      restart: (workspace) => reported(() => client.restart(workspace.id)),
      keep: (workspace) => reported(() => client.keep(workspace.id)),
      extend: (workspace) => reported(async () => putWorkspace(cache, await client.extend(workspace.id))),
      rename: async (workspace, name) => putWorkspace(cache, await client.update(workspace.id, { display_name: name })),
      remove: (workspace) =>
        reported(async () => {
          await client.delete(workspace.id, false);
          await tellRemoved(workspace);
        }),
      removeWithFiles: (workspace) =>
        reported(async () => {
          await client.delete(workspace.id, true);
          notify({ text: `Deleted ${workspace.display_name} and its files.` });
        }),
      next: (workspace, step) => {
        switch (step.do) {
          case 'open':
            opening.open(workspace);
            return Promise.resolve(true);
          case 'start':
            return start(workspace);
          case 'cancel':
            return stop(workspace);
          case 'startWithMemory':
            return reported(async () => {
              putWorkspace(cache, await client.update(workspace.id, { compute: { memory: step.memory } }));
              await client.start(workspace.id);
            });
          case 'changeImage':
            void navigate(pathTo.detail(workspace.owner, workspace.id, 'settings'), { state: { focus: 'image' } });
            return Promise.resolve(true);
        }
      },
    };
    return actions;
  }, [client, cache, notify, reported, opening, navigate]);
}

/** What makes a deleted workspace again, with its files if they were kept: one that never ran has none. */
export function sameAgain(workspace: Workspace, filesKept: boolean): WorkspaceInput {
  const { cpus, memory, shm, processes, gpus } = workspace.compute;
  return {
    display_name: workspace.display_name,
    created_at: workspace.created_at,
    container_image: workspace.container_image,
    profile: workspace.profile,
    port: workspace.port,
    compute: {
      cpus,
      memory,
      processes,
      // Who asked for none has half of the memory, and should go on to.
      ...(shm === Math.floor(memory / 2) ? {} : { shm }),
      ...(gpus > 0 ? { gpus } : {}),
    },
    storage: {
      ...(filesKept ? { volume: workspace.storage.volume } : {}),
      volume_size: workspace.storage.volume_size,
      container_size: workspace.storage.container_size,
    },
    idle_timeout: workspace.idle_timeout,
    clear_volume_on_stop: workspace.clear_volume_on_stop,
    is_stopped: workspace.desired !== 'running',
  };
}
