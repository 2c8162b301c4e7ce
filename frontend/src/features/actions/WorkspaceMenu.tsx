import Divider from '@mui/material/Divider';
import IconButton from '@mui/material/IconButton';
import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import type { Action, Workspace } from '../../api/types';
import { useHost } from '../../components/useHost';
import { pathTo } from '../../paths';
import { DeleteFilesDialog } from './DeleteFilesDialog';
import { RenameDialog } from './RenameDialog';
import { useActions } from './useActions';

interface Props {
  workspace: Workspace;
  readOnly: boolean;
  /** Called when it has been deleted from here. */
  onGone?: () => void;
}

/** Everything that can be asked of a workspace now. */
export function WorkspaceMenu({ workspace, readOnly, onGone }: Props) {
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const [dialog, setDialog] = useState<'rename' | 'deleteFiles' | undefined>();
  const actions = useActions();
  const navigate = useNavigate();
  const host = useHost();
  const can = (action: Action): boolean => !readOnly && workspace.actions.includes(action);
  const item = (label: string, run: () => void): React.ReactNode => (
    <MenuItem
      key={label}
      onClick={() => {
        setAnchor(null);
        run();
      }}
    >
      {label}
    </MenuItem>
  );
  const remove = async (): Promise<void> => {
    if (await actions.remove(workspace)) onGone?.();
  };

  return (
    <>
      <IconButton aria-label={`More for ${workspace.display_name}`} aria-haspopup="menu" aria-expanded={anchor !== null} onClick={(event) => setAnchor(event.currentTarget)}>
        ⋯
      </IconButton>
      {anchor !== null && (
        <Menu open anchorEl={anchor} onClose={() => setAnchor(null)} anchorOrigin={{ vertical: 'bottom', horizontal: 'right' }} transformOrigin={{ vertical: 'top', horizontal: 'right' }}>
          {can('open') && item('Open', () => actions.open(workspace))}
          {can('start') && item('Start', () => void actions.start(workspace))}
          {can('stop') && item(can('cancel') ? 'Cancel start' : 'Stop', () => void actions.stop(workspace))}
          {can('restart') && item('Restart', () => void actions.restart(workspace))}
          {can('update') && item('Edit', () => void navigate(pathTo.detail(workspace.owner, workspace.id, 'settings')))}
          {can('update') && host?.can.rename === true && item('Rename', () => setDialog('rename'))}
          {item('Logs', () => void navigate(pathTo.detail(workspace.owner, workspace.id, 'logs')))}
          {can('keep') && item('Take its deletion back', () => void actions.keep(workspace))}
          {can('delete') && <Divider />}
          {can('delete') && item(can('keep') ? 'Delete without its files' : 'Delete', () => void remove())}
          {can('delete') && !can('keep') && item('Delete with its files …', () => setDialog('deleteFiles'))}
        </Menu>
      )}
      {dialog === 'rename' && <RenameDialog workspace={workspace} onClose={() => setDialog(undefined)} />}
      {dialog === 'deleteFiles' && <DeleteFilesDialog workspace={workspace} onClose={() => setDialog(undefined)} {...(onGone === undefined ? {} : { onGone })} />}
    </>
  );
}
