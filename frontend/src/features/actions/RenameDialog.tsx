import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import TextField from '@mui/material/TextField';
import { useState } from 'react';
import { errorOf, type ApiError } from '../../api/client';
import type { Workspace } from '../../api/types';
import { nameProblemOf } from '../../model/problems';
import { useActions } from './useActions';

export function RenameDialog({ workspace, onClose }: { workspace: Workspace; onClose: () => void }) {
  const [name, setName] = useState(workspace.display_name);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | undefined>();
  const actions = useActions();
  const wrong = problem === undefined ? '' : nameProblemOf(problem, name) || problem.message;
  const submit = async (): Promise<void> => {
    setBusy(true);
    try {
      if (name.trim() !== workspace.display_name) await actions.rename(workspace, name.trim());
      onClose();
    } catch (thrown) {
      setProblem(errorOf(thrown));
    }
    setBusy(false);
  };
  return (
    <Dialog open onClose={onClose} fullWidth maxWidth="xs">
      <form action={submit}>
        <DialogTitle>
          Rename <bdi>{workspace.display_name}</bdi>
        </DialogTitle>
        <DialogContent>
          <TextField
            fullWidth
            autoFocus
            value={name}
            onChange={(event) => {
              setName(event.target.value);
              setProblem(undefined);
            }}
            onFocus={(event) => event.target.select()}
            error={wrong !== ''}
            helperText={wrong}
            slotProps={{ htmlInput: { 'aria-label': 'Name', spellCheck: false } }}
          />
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
