import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import { skipToken, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useClient } from '../../api/context';
import type { Usage, Workspace } from '../../api/types';
import { Ago } from '../../components/Time';
import { useHost } from '../../components/useHost';
import { formatBytes, formatFiles } from '../../model/format';
import { useActions } from './useActions';

/** Asks before files are lost, and says in numbers what is lost. */
export function DeleteFilesDialog({ workspace, onClose, onGone }: { workspace: Workspace; onClose: () => void; onGone?: () => void }) {
  const client = useClient();
  const actions = useActions();
  const host = useHost();
  const [busy, setBusy] = useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    const gone = await actions.removeWithFiles(workspace);
    setBusy(false);
    if (!gone) return;
    onClose();
    onGone?.();
  };
  return (
    <LossDialog
      title={`Delete ${workspace.display_name} with its files?`}
      {...(host?.can.measure === false ? {} : { measure: () => client.usage(workspace.id) })}
      note={host?.can.measure === false && workspace.status === 'stopped' ? 'ML Lab deletes files only together with a container: it is started once more for that, which takes a while.' : ''}
      subject={workspace.id}
      busy={busy}
      onClose={onClose}
      onDelete={() => void run()}
    />
  );
}

interface LossProps {
  title: string;
  /** What is measured, to keep measurements apart. */
  subject: string;
  /** Left out where nobody can. */
  measure?: () => Promise<Usage>;
  /** What else there is to know before. */
  note?: string;
  busy: boolean;
  onClose: () => void;
  onDelete: () => void;
}

export function LossDialog({ title, subject, measure, note = '', busy, onClose, onDelete }: LossProps) {
  const usage = useQuery({ queryKey: ['usage', subject], queryFn: measure ?? skipToken, staleTime: 0, gcTime: 0, retry: false });
  return (
    <Dialog open onClose={onClose} fullWidth maxWidth="xs">
      <DialogTitle>{title}</DialogTitle>
      <DialogContent>
        <p aria-live="polite">
          {measure === undefined && 'All its files will be lost for good. ML Lab does not tell how many there are.'}
          {measure !== undefined && usage.isPending && 'Measuring its files …'}
          {usage.isError && 'How much that is could not be measured.'}
          {usage.data !== undefined && <Loss usage={usage.data} />}
        </p>
        {note !== '' && <p style={{ margin: '8px 0' }}>{note}</p>}
        <p className="dim">This cannot be undone.</p>
      </DialogContent>
      <DialogActions>
        <Button onClick={onClose}>Keep</Button>
        <Button variant="contained" color="error" disabled={busy} onClick={onDelete}>
          {usage.data === undefined ? 'Delete with its files' : usage.data.files === 0 ? 'Delete' : `Delete ${formatBytes(usage.data.bytes)}`}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function Loss({ usage }: { usage: Usage }) {
  if (usage.files === 0) return 'There are no files in it.';
  return (
    <>
      <b>
        {formatFiles(usage.files)}, {formatBytes(usage.bytes)}
      </b>{' '}
      will be lost for good.
      {usage.changed_at !== null && (
        <>
          {' '}
          Last changed <Ago time={usage.changed_at} />.
        </>
      )}
    </>
  );
}
