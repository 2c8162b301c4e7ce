import Button from '@mui/material/Button';
import TextField from '@mui/material/TextField';
import { useQueryClient } from '@tanstack/react-query';
import { Fragment, useState } from 'react';
import { keys } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { StateMark } from '../../components/StateMark';
import { useNames } from '../../components/useNames';
import { matchesAdmin } from '../../model/admin';
import { usedOf } from '../../model/amounts';
import { formatMB, formatNumber } from '../../model/format';
import { queueText } from '../../model/rowLine';
import { lookOf } from '../../model/state';
import { useReported } from '../actions/notices';
import styles from './Admin.module.css';
import { ResizeDialog } from './ResizeDialog';
import { Table } from './Table';

/** More rows at once help nobody; the filter finds the others. */
const mostRows = 200;

/** Everybody's workspaces. */
export function AllWorkspaces({ workspaces }: { workspaces: Workspace[] }) {
  const readOnly = useReadOnly();
  const [text, setText] = useState('');
  const [stopping, setStopping] = useState('');
  const [resizing, setResizing] = useState<Workspace | undefined>();
  const gpus = workspaces.some((workspace) => workspace.compute.gpus > 0);
  const nameOf = useNames(workspaces.map(({ owner }) => owner));
  const found = workspaces.filter((workspace) => matchesAdmin(workspace, nameOf(workspace.owner), lookOf(workspace).word, text));
  return (
    <section aria-labelledby="admin-workspaces">
      <div className={styles.head}>
        <h2 id="admin-workspaces">Workspaces of everybody</h2>
        <TextField
          type="search"
          placeholder="Owner, name, state …"
          value={text}
          onChange={(event) => setText(event.target.value)}
          slotProps={{ htmlInput: { 'aria-label': 'Filter workspaces' } }}
        />
      </div>
      {found.length === 0 ? (
        <p className="dim">{workspaces.length === 0 ? 'There are none.' : 'Nothing matches.'}</p>
      ) : (
        <Table titleId="admin-workspaces" columns={['Workspace', 'Owner', 'State', 'CPU', 'Memory', 'Storage', ...(gpus ? ['GPUs'] : []), <span className="spoken">Actions</span>]}>
          {found.slice(0, mostRows).map((workspace) => (
            <Fragment key={workspace.id}>
              <tr data-open={stopping === workspace.id}>
                <th scope="row">
                  <bdi>{workspace.display_name}</bdi>
                  <div className="small dim">{workspace.image_name}</div>
                </th>
                <td data-label="Owner" title={workspace.owner}>{nameOf(workspace.owner)}</td>
                <td data-label="State">
                  <StateMark look={lookOf(workspace)} />
                  <div className="small dim">{workspace.phase === 'queued' ? queueText(workspace) : workspace.reason}</div>
                </td>
                <td data-label="CPU" className="numbers">{formatNumber(workspace.compute.cpus)}</td>
                <td data-label="Memory" className="numbers">{formatMB(workspace.compute.memory)}</td>
                <td data-label="Storage" className="numbers">{storageText(workspace)}</td>
                {gpus && <td data-label="GPUs" className="numbers">{workspace.gpu_ids.length > 0 ? workspace.gpu_ids.join(', ') : formatNumber(workspace.compute.gpus)}</td>}
                <td className={styles.actions}>
                  {!readOnly && workspace.actions.includes('stop') && stopping !== workspace.id && (
                    <Button size="small" aria-label={`Stop ${workspace.display_name} of ${nameOf(workspace.owner)}`} onClick={() => setStopping(workspace.id)}>
                      Stop
                    </Button>
                  )}
                  {!readOnly && workspace.actions.includes('update') && (
                    <Button size="small" variant="text" aria-label={`Resize ${workspace.display_name} of ${nameOf(workspace.owner)}`} onClick={() => setResizing(workspace)}>
                      Resize
                    </Button>
                  )}
                </td>
              </tr>
              {stopping === workspace.id && (
                <tr className={styles.formRow}>
                  <td colSpan={gpus ? 8 : 7}>
                    <StopForm workspace={workspace} owner={nameOf(workspace.owner)} onClose={() => setStopping('')} />
                  </td>
                </tr>
              )}
            </Fragment>
          ))}
        </Table>
      )}
      {found.length > mostRows && <p className="small dim">{found.length - mostRows} more; the filter finds them.</p>}
      {resizing !== undefined && <ResizeDialog workspace={resizing} owner={nameOf(resizing.owner)} onClose={() => setResizing(undefined)} />}
    </section>
  );
}

function storageText(workspace: Workspace): string {
  const { volume_used: used, volume_size: size } = workspace.storage;
  if (used === null) return formatMB(size);
  const { value, rest } = usedOf(used, size, 'MB');
  return `${value} ${rest}`;
}

/** Stops at once, with a reason that its owner reads. Its owner can start it again; administrators cannot. */
function StopForm({ workspace, owner, onClose }: { workspace: Workspace; owner: string; onClose: () => void }) {
  const client = useClient();
  const cache = useQueryClient();
  const reported = useReported();
  const [reason, setReason] = useState('');
  const stop = async (): Promise<void> => {
    const stopped = await reported(() => client.adminStop(workspace.id, reason.trim()));
    void cache.invalidateQueries({ queryKey: keys.admin });
    if (stopped) onClose();
  };
  return (
    <form action={stop} className={styles.stop} onKeyDown={(event) => event.key === 'Escape' && onClose()}>
      <TextField
        autoFocus
        fullWidth
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        placeholder="Why? May be empty"
        helperText={`${owner} reads it, and can start ${workspace.display_name} again. Files stay; what was not saved is lost.`}
        slotProps={{ htmlInput: { 'aria-label': `Reason for ${owner}`, maxLength: 500 } }}
      />
      <Button type="submit" variant="contained" color="primary">
        Stop {workspace.display_name}
      </Button>
      <Button variant="text" onClick={onClose}>
        Let it run
      </Button>
    </form>
  );
}
