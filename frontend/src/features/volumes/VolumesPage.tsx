import Button from '@mui/material/Button';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import type { Volume } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { Blocks } from '../../components/Blocks';
import { Ago } from '../../components/Time';
import { Trouble } from '../../components/Trouble';
import { useDelayed } from '../../components/useDelayed';
import { useHost } from '../../components/useHost';
import { useUser } from '../../components/user';
import { formatBytes, formatFiles } from '../../model/format';
import { pathTo } from '../../paths';
import { LossDialog } from '../actions/DeleteFilesDialog';
import { useNotice, useReported } from '../actions/notices';
import styles from './VolumesPage.module.css';

/** Files of deleted workspaces: use them again, or delete them for good. */
export function VolumesPage() {
  const client = useClient();
  const user = useUser();
  const volumes = useQuery(queries.volumes(client));
  const slow = useDelayed(volumes.isPending);
  if (volumes.data === undefined) {
    if (volumes.isError) return <Trouble error={errorOf(volumes.error)} onRetry={() => void volumes.refetch()} />;
    return slow ? <Blocks rows={3} /> : null;
  }
  const kept = volumes.data.filter((volume) => volume.used_by === null);
  return (
    <div className={styles.page}>
      <title>Kept volumes · Workspaces</title>
      <div className={styles.head}>
        <Link className="faint" to={pathTo.home(user)}>Workspaces</Link>
        <span className="faint">/</span>
        <h1>Kept volumes</h1>
      </div>
      <p className="dim">Files of deleted workspaces. They stay until you delete them.</p>
      {kept.length === 0 ? (
        <div className={`card ${styles.none}`}>Nothing is kept. Files of a workspace that you delete appear here.</div>
      ) : (
        <ul className={styles.list}>
          {kept.map((volume) => (
            <VolumeRow key={volume.name} volume={volume} />
          ))}
        </ul>
      )}
    </div>
  );
}

function VolumeRow({ volume }: { volume: Volume }) {
  const client = useClient();
  const user = useUser();
  const navigate = useNavigate();
  const measures = useHost()?.can.measure !== false;
  const readOnly = useReadOnly();
  const reported = useReported();
  const notify = useNotice();
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  // Measuring walks all files, so it is done when somebody asks.
  const usage = useQuery({ queryKey: ['usage', volume.name], queryFn: () => client.volumeUsage(volume.name), enabled: false, retry: false });

  const remove = async (): Promise<void> => {
    setBusy(true);
    if (await reported(() => client.deleteVolume(volume.name))) {
      notify({ text: `Deleted the files of ${volume.display_name}.` });
    }
    setBusy(false);
    setAsked(false);
  };
  return (
    <li className={styles.row}>
      <div className={styles.what}>
        <b>Files of <bdi>{volume.display_name}</bdi></b>
        <div className={`mono dim ${styles.id}`} title={volume.name}>{volume.name}</div>
      </div>
      <div className="small dim">
        {volume.kept_since === null ? 'Kept' : <>Kept, deleted <Ago time={volume.kept_since} /></>}
        <div aria-live="polite">
          {usage.data !== undefined && `${formatFiles(usage.data.files)}, ${formatBytes(usage.data.bytes)}`}
          {usage.isFetching && 'Measuring …'}
          {usage.isError && !usage.isFetching && errorOf(usage.error).detail}
          {measures && usage.data === undefined && !usage.isFetching && (
            <button type="button" className={styles.measure} disabled={readOnly} onClick={() => void usage.refetch()}>
              Measure
            </button>
          )}
        </div>
      </div>
      <div className={styles.actions}>
        <Button disabled={readOnly} onClick={() => void navigate(`${pathTo.create(user)}?volume=${encodeURIComponent(volume.name)}`)}>
          Use in a new workspace
        </Button>
        <Button variant="text" disabled={readOnly} onClick={() => setAsked(true)} aria-label={`Delete the files of ${volume.display_name}`}>
          Delete …
        </Button>
      </div>
      {asked && (
        <LossDialog
          title={`Delete the files of ${volume.display_name}?`}
          subject={volume.name}
          {...(measures ? { measure: () => client.volumeUsage(volume.name) } : {})}
          note={measures ? '' : 'ML Lab deletes files only together with a container: one is started for that, which takes a while.'}
          busy={busy}
          onClose={() => setAsked(false)}
          onDelete={() => void remove()}
        />
      )}
    </li>
  );
}
