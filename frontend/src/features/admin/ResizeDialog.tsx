import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { keys, queries } from '../../api/cache';
import { errorOf, type ApiError } from '../../api/client';
import { useClient } from '../../api/context';
import type { Limit, Workspace, WorkspaceUpdate } from '../../api/types';
import { isComplete } from '../../components/complaints';
import { LimitField } from '../../components/LimitField';
import { ActsWord, AppliesWord } from '../../components/LimitWords';
import { useCheck } from '../../components/useCheck';
import { useHost } from '../../components/useHost';
import { VerdictBox } from '../../components/VerdictBox';
import { editedFrom, updateOf, type Edited } from '../../model/changes';
import { restartsAtOnce } from '../../model/lab';
import styles from './Admin.module.css';

/** Changes the limits of anybody's workspace; its owner's quota still holds. */
export function ResizeDialog({ workspace, owner, onClose }: { workspace: Workspace; owner: string; onClose: () => void }) {
  const client = useClient();
  const cache = useQueryClient();
  const host = useHost();
  const resizes = host?.can.resize !== false;
  const verdictId = useId();
  const { data: limits } = useQuery(queries.limits(client, workspace.profile));
  const [edited, setEdited] = useState<Edited>(() => editedFrom(workspace));
  const [problem, setProblem] = useState<ApiError | undefined>();
  const [busy, setBusy] = useState(false);
  const update = updateOf(workspace, edited);
  const checked = useCheck(`admin ${workspace.id}`, update, (asked: WorkspaceUpdate, signal) => client.adminCheck(workspace.id, asked, signal));
  const problems = { ...checked.error?.fields, ...problem?.fields };
  const refused = checked.current && (checked.check?.verdict === 'refused' || checked.error?.code === 'invalid') && workspace.status === 'running';
  const save = async (): Promise<void> => {
    if (update === undefined || refused) return;
    setBusy(true);
    try {
      await client.adminResize(workspace.id, update);
      void cache.invalidateQueries({ queryKey: keys.admin });
      onClose();
    } catch (thrown) {
      setProblem(errorOf(thrown));
    }
    setBusy(false);
  };
  // What its owner may have is not what an administrator may have: the server knows, and answers while one types.
  const fields: { name: string; limit: Limit | undefined; field: 'cpus' | 'memory' | 'gpus' | 'volumeSize' | 'containerSize'; problemAt: string }[] = [
    { name: 'CPUs', limit: limits?.cpus, field: 'cpus', problemAt: 'compute.cpus' },
    { name: 'Memory', limit: limits?.memory, field: 'memory', problemAt: 'compute.memory' },
    { name: 'Files', limit: limits && { ...limits.volume_size, acts: workspace.storage.volume_acts }, field: 'volumeSize', problemAt: 'storage.volume_size' },
    { name: 'Container', limit: limits && { ...limits.container_size, acts: workspace.storage.container_acts }, field: 'containerSize', problemAt: 'storage.container_size' },
    { name: 'GPUs', limit: limits !== undefined && (limits.gpus.max > 0 || workspace.compute.gpus > 0) ? limits.gpus : undefined, field: 'gpus', problemAt: 'compute.gpus' },
  ];
  return (
    <Dialog open onClose={onClose} fullWidth maxWidth="sm">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (isComplete(event.currentTarget)) void save();
        }}
      >
        <DialogTitle>
          Resize <bdi>{workspace.display_name}</bdi> of {owner}
        </DialogTitle>
        <DialogContent>
          <div className={styles.sizes}>
            {fields.map(
              ({ name, limit, field, problemAt }) =>
                limit !== undefined && (
                  <div key={field}>
                    <h3>
                      {name} <ActsWord limit={limit} /> <AppliesWord applies={limit.applies} resizes={resizes} />
                    </h3>
                    <LimitField
                      label={name}
                      labelHidden
                      limit={{ ...limit, max: 0, choices: [] }}
                      value={edited[field]}
                      onChange={(value) => {
                        setEdited({ ...edited, [field]: value });
                        setProblem(undefined);
                      }}
                      problem={problems[problemAt]}
                      mayBeZero={field === 'gpus'}
                    />
                  </div>
                ),
            )}
          </div>
          {update !== undefined && <VerdictBox id={verdictId} checked={checked} />}
          {host !== undefined && !resizes && restartsAtOnce(workspace, update, host.can) && <p className="small dim">This restarts the workspace at once. Unsaved work in it is lost; files stay.</p>}
          {problem !== undefined && (
            <p className={styles.problem} role="alert">
              {problem.message}
            </p>
          )}
        </DialogContent>
        <DialogActions>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="contained" color="primary" disabled={update === undefined || busy || refused} aria-describedby={verdictId}>
            Resize
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
