import { useState, type ReactNode } from 'react';
import { useNavigate, useParams } from 'react-router';
import type { Workspace } from '../api/types';
import { pathTo } from '../paths';
import { Blocks } from './Blocks';
import { Trouble } from './Trouble';
import { useDelayed } from './useDelayed';
import { useUser } from './user';
import { useWorkspace } from './useWorkspace';

/** Shows a page about the workspace of the address, or what stands in the way. */
export function WithWorkspace({ children }: { children: (workspace: Workspace) => ReactNode }) {
  const { id = '' } = useParams();
  const user = useUser();
  const navigate = useNavigate();
  const found = useWorkspace(id);
  const slow = useDelayed('waiting' in found);
  const name = useLastName(found);

  if ('workspace' in found) return children(found.workspace);
  if ('error' in found) return <Trouble error={found.error} onRetry={found.retry} />;
  if ('missing' in found) {
    return (
      <Trouble
        error={{ detail: name === '' ? 'There is no such workspace.' : `${name} is gone.`, hint: name === '' ? 'It may have been deleted.' : 'It was deleted.' }}
        label="Show all workspaces"
        onRetry={() => void navigate(pathTo.home(user))}
      />
    );
  }
  return slow ? <Blocks rows={3} /> : null;
}

/** The name the workspace had while it was there. */
function useLastName(found: ReturnType<typeof useWorkspace>): string {
  const now = 'workspace' in found ? found.workspace.display_name : undefined;
  const [name, setName] = useState('');
  if (now !== undefined && now !== name) setName(now);
  return name;
}
