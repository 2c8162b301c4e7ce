import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import TextField from '@mui/material/TextField';
import { useState } from 'react';
import type { Workspace } from '../../api/types';
import { useActions } from './useActions';

export function RenameDialog({ workspace, onClose }: { workspace: Workspace; onClose: () => void }) {
  const [name, setName] = useState(workspace.display_name);
  const [busy, setBusy] = useState(false);
  const actions = useActions();
  const submit = async (): Promise<void> => {
    setBusy(true);
    const renamed = name.trim() === workspace.display_name || (await actions.rename(workspace, name.trim()));
    setBusy(false);
    if (renamed) onClose();
  };
  return (
    <Dialog open onClose={onClose} fullWidth maxWidth="xs">
      <form action={submit}>
        <DialogTitle>Rename {workspace.display_name}</DialogTitle>
        <DialogContent>
          <TextField fullWidth autoFocus value={name} onChange={(event) => setName(event.target.value)} slotProps={{ htmlInput: { 'aria-label': 'Name', maxLength: 128 } }} />
        </DialogContent>
        <DialogActions>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="contained" color="primary" disabled={busy || name.trim() === ''}>
            Rename
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
