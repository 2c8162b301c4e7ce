import { useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { useNavigate } from 'react-router';
import { keys, putWorkspace } from '../../api/cache';
import { useClient } from '../../api/context';
import type { WorkspaceInput } from '../../api/types';
import { pathTo } from '../../paths';
import { useOpening } from '../actions/opening';
import { forgetRemoved } from '../actions/removed';

/** Creates a workspace and shows its start, or the list when it has to wait; throws what the server has against it. Must be called while a click is handled. */
export function useCreate(): (input: WorkspaceInput & { display_name: string }, waits?: boolean) => Promise<void> {
  const client = useClient();
  const cache = useQueryClient();
  const opening = useOpening();
  const navigate = useNavigate();
  return useCallback(
    async (input, waits = false) => {
      // A tab that waits for its turn for hours helps nobody.
      const created = waits ? () => undefined : opening.openWhenRunning(input.display_name);
      try {
        const workspace = await client.create(input);
        putWorkspace(cache, workspace);
        // It may be called what was deleted before, or have its files: one key must not bring that back with what is deleted next.
        forgetRemoved();
        // The first start may bring its image here.
        void cache.invalidateQueries({ queryKey: keys.images });
        created(workspace.id);
        void navigate(waits ? pathTo.home(workspace.owner) : pathTo.start(workspace.owner, workspace.id));
      } catch (error) {
        created(undefined);
        throw error;
      }
    },
    [client, cache, opening, navigate],
  );
}
