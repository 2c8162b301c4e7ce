import { useNavigate } from 'react-router';
import type { Workspace } from '../../api/types';
import { useKeys } from '../../components/useKeys';
import { pathTo } from '../../paths';
import { useActions } from '../actions/useActions';

/** Keys that move along the rows and act on the one that has the focus. */
export function useHomeKeys(workspaces: Workspace[]): void {
  const actions = useActions();
  const navigate = useNavigate();

  const move = (by: number) => (event: KeyboardEvent) => {
    const rows = [...document.querySelectorAll<HTMLElement>('[data-workspace]')];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))];
    event.preventDefault();
    next?.focus();
    next?.scrollIntoView({ block: 'nearest' });
  };
  const onFocused = (act: (workspace: Workspace) => void) => (event: KeyboardEvent) => {
    const row = document.activeElement?.closest<HTMLElement>('[data-workspace]');
    const workspace = workspaces.find((one) => one.id === row?.dataset.workspace);
    if (workspace === undefined) return;
    // Links and buttons in the row have a meaning of Enter of their own.
    if (event.key === 'Enter' && document.activeElement !== row) return;
    event.preventDefault();
    act(workspace);
  };

  useKeys({
    j: move(1),
    ArrowDown: move(1),
    k: move(-1),
    ArrowUp: move(-1),
    Enter: onFocused((workspace) => {
      if (workspace.actions.includes('open')) actions.open(workspace);
      else if (workspace.status === 'pending') void navigate(pathTo.start(workspace.owner, workspace.id));
      else void navigate(pathTo.detail(workspace.owner, workspace.id));
    }),
    s: onFocused((workspace) => {
      if (workspace.status === 'running' || workspace.status === 'pending') {
        if (workspace.actions.includes('stop')) void actions.stopByKey(workspace);
      } else if (workspace.actions.includes('start')) void actions.start(workspace);
    }),
    l: onFocused((workspace) => void navigate(pathTo.detail(workspace.owner, workspace.id, 'logs'))),
    e: onFocused((workspace) => void navigate(pathTo.detail(workspace.owner, workspace.id, 'settings'))),
  });
}
