import { useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { useNavigate } from 'react-router';
import { keys, putWorkspace } from '../../api/cache';
import { useClient } from '../../api/context';
import type { WorkspaceInput } from '../../api/types';
import { pathTo } from '../../paths';
import { useOpening } from '../actions/opening';

/** Creates a workspace and shows its start; throws what the server has against it. Must be called while a click is handled. */
export function useCreate(): (input: WorkspaceInput & { display_name: string }) => Promise<void> {
  const client = useClient();
  const cache = useQueryClient();
  const opening = useOpening();
  const navigate = useNavigate();
  return useCallback(
    async (input) => {
      const created = opening.openWhenRunning(input.display_name);
      try {
        const workspace = await client.create(input);
        putWorkspace(cache, workspace);
        // The first start may bring its image here.
        void cache.invalidateQueries({ queryKey: keys.images });
        created(workspace.id);
        void navigate(pathTo.start(workspace.owner, workspace.id));
      } catch (error) {
        created(undefined);
        throw error;
      }
    },
    [client, cache, opening, navigate],
  );
}
