// What can be done to a workspace, with what follows from it: cache, messages, undo. Rows, menus, pages and keys share it.
import { useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useNavigate } from 'react-router';
import { putWorkspace } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Workspace, WorkspaceInput } from '../../api/types';
import type { NextStep } from '../../model/state';
import { pathTo } from '../../paths';
import { useNotice, useReported } from './notices';
import { useOpening } from './opening';

export interface Actions {
  open: (workspace: Workspace) => void;
  start: (workspace: Workspace) => Promise<boolean>;
  /** Also calls a start off. */
  stop: (workspace: Workspace) => Promise<boolean>;
  restart: (workspace: Workspace) => Promise<boolean>;
  rename: (workspace: Workspace, name: string) => Promise<boolean>;
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

    const undoRemove = (workspace: Workspace): Promise<boolean> =>
      reported(async () => putWorkspace(cache, await client.create(sameAgain(workspace))));

    const actions: Actions = {
      open: opening.open,
      start,
      stop,
      restart: (workspace) => reported(() => client.restart(workspace.id)),
      rename: (workspace, name) => reported(async () => putWorkspace(cache, await client.update(workspace.id, { display_name: name }))),
      remove: (workspace) =>
        reported(async () => {
          await client.delete(workspace.id, false);
          notify({
            text: `Deleted ${workspace.display_name}. Its files are kept.`,
            action: { label: 'Undo', run: () => void undoRemove(workspace) },
          });
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
            void navigate(pathTo.detail(workspace.owner, workspace.id, 'settings'));
            return Promise.resolve(true);
        }
      },
    };
    return actions;
  }, [client, cache, notify, reported, opening, navigate]);
}

/** What makes a deleted workspace again, with the files that were kept. */
export function sameAgain(workspace: Workspace): WorkspaceInput {
  return {
    display_name: workspace.display_name,
    container_image: workspace.container_image,
    profile: workspace.profile,
    compute: { cpus: workspace.compute.cpus, memory: workspace.compute.memory },
    storage: {
      volume: workspace.storage.volume,
      volume_size: workspace.storage.volume_size,
      container_size: workspace.storage.container_size,
    },
    idle_timeout: workspace.idle_timeout,
    clear_volume_on_stop: workspace.clear_volume_on_stop,
    is_stopped: workspace.desired !== 'running',
  };
}
