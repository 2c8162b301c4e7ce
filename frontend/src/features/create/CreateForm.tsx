import Button from '@mui/material/Button';
import MenuItem from '@mui/material/MenuItem';
import TextField from '@mui/material/TextField';
import { useId, useState, type SubmitEvent } from 'react';
import { useNavigate } from 'react-router';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { queries } from '../../api/cache';
import { ApiError, errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import type { Host, Image, Limit, Volume, Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { isComplete, useComplaint } from '../../components/complaints';
import { IdleField } from '../../components/IdleField';
import { ImageKind } from '../../components/ImageKind';
import { LimitField } from '../../components/LimitField';
import { ActsWord } from '../../components/LimitWords';
import { useCheck } from '../../components/useCheck';
import { useKeys } from '../../components/useKeys';
import { useNow } from '../../components/useNow';
import { useUser } from '../../components/user';
import { followLimits, inputOf, nameOf, newDraft, profileOf, type Draft } from '../../model/draft';
import { formatAgo, formatMB } from '../../model/format';
import { isAtField, longName, nameProblemOf, noName, takenName } from '../../model/problems';
import { pathTo } from '../../paths';
import styles from './CreateForm.module.css';
import { Fits } from './Fits';
import { ImageChoice } from './ImageChoice';
import { SizeChoice } from './SizeChoice';
import { useCreate } from './useCreate';

interface Props {
  host: Host;
  images: Image[];
  workspaces: Workspace[];
  kept: Volume[];
  wish: { anyImage: boolean; volume: string };
}

/** Of a name: something that is seen. */
const notBlank = String.raw`.*\S.*`;

/** Fields of which a problem could not be seen. */
const foldedAway = /^(storage|compute\.(shm|processes|gpus)|idle_timeout|port|profile)/;

export function CreateForm({ host, images, workspaces, kept, wish }: Props) {
  const user = useUser();
  const navigate = useNavigate();
  const create = useCreate();
  const readOnly = useReadOnly();
  const now = useNow(60_000);
  const client = useClient();
  const verdictId = useId();
  const [draft, setDraft] = useState<Draft>(() =>
    newDraft(images, host.limits, { anyImage: wish.anyImage, volume: kept.find((volume) => volume.name === wish.volume) }),
  );
  // Another kind of image may have other limits.
  const { data: limits = host.limits } = useQuery({ ...queries.limits(client, profileOf(draft)), placeholderData: keepPreviousData });
  const [followed, setFollowed] = useState(host.limits);
  if (followed !== limits) {
    setFollowed(limits);
    setDraft(followLimits(draft, followed, limits));
  }
  const [problem, setProblem] = useState<ApiError | undefined>();
  const [busy, setBusy] = useState(false);
  const [moreShown, setMoreShown] = useState(false);
  const taken = workspaces.map((workspace) => workspace.display_name);
  const change = (part: Partial<Draft>): void => {
    setDraft({ ...draft, ...part });
    setProblem(undefined);
  };

  const name = nameOf(draft, taken);
  const complaint = useComplaint(() => noName);
  const nameProblem = complaint.text !== '' ? complaint.text : longName(name) !== '' ? longName(name) : taken.includes(name.trim()) ? takenName(name) : nameProblemOf(problem, name);
  const input = inputOf(draft, taken);
  // A name that is missing or taken is said at its field; whether the rest fits is another question.
  const askable = input.container_image === '' ? undefined : { ...input, display_name: 'a name that nobody has' };
  const checked = useCheck('create', askable, (asked, signal) => client.check(asked, signal));
  const problems = { ...checked.error?.fields, ...problem?.fields };
  const refused = checked.current && (checked.check?.verdict === 'refused' || checked.error?.code === 'invalid');
  const waits = checked.check?.verdict === 'waits';
  useKeys({ Escape: () => void navigate(pathTo.home(user)) });

  const submit = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (!isComplete(event.currentTarget)) return;
    if (nameProblem !== '' || refused) return; // a tab would open and close
    setBusy(true);
    try {
      await create(input, waits);
    } catch (thrown) {
      const error = errorOf(thrown);
      setProblem(error);
      if (Object.keys(error.fields).some((field) => foldedAway.test(field))) setMoreShown(true);
      setBusy(false);
    }
  };

  const fields: { title: string; label: string; limit: Limit; field: 'shm' | 'processes' | 'gpus' | 'volumeSize' | 'containerSize'; problemAt: string; hint: string }[] = [
    ...(host.can.limits
      ? [
          { title: 'Shared memory', label: 'Shared memory', limit: limits.shm, field: 'shm' as const, problemAt: 'compute.shm', hint: '0 goes with the memory' },
          { title: 'Processes', label: 'Processes, at most', limit: limits.processes, field: 'processes' as const, problemAt: 'compute.processes', hint: '' },
        ]
      : []),
    ...(host.can.limits && limits.gpus.max > 0 ? [{ title: 'GPUs', label: 'GPUs', limit: limits.gpus, field: 'gpus' as const, problemAt: 'compute.gpus', hint: '' }] : []),
    { title: 'Files', label: 'Files, at most', limit: limits.volume_size, field: 'volumeSize', problemAt: 'storage.volume_size', hint: '' },
    { title: 'Container', label: 'Container, at most', limit: limits.container_size, field: 'containerSize', problemAt: 'storage.container_size', hint: 'What is written outside of the files' },
  ];

  return (
    <form
      className={styles.form}
      noValidate
      onSubmit={(event) => void submit(event)}
    >
      <div className={styles.fields}>
        <h1>New workspace</h1>
        <ImageChoice images={images} here={host.can.images} draft={draft} onChange={change} problems={problems} />
        <div className={host.can.volumes ? styles.pair : styles.alone}>
          <div>
            <h2 id="create-name">Name</h2>
            <TextField
              fullWidth
              autoFocus
              required
              value={name}
              onChange={(event) => {
                change({ name: event.target.value });
                complaint.forget();
              }}
              onFocus={(event) => event.target.select()}
              error={nameProblem !== ''}
              helperText={nameProblem}
              slotProps={{ htmlInput: { onInvalid: complaint.onInvalid, 'aria-labelledby': 'create-name', pattern: notBlank, autoComplete: 'off', spellCheck: false } }}
            />
          </div>
          {host.can.volumes && (
            <div>
              <h2 id="create-files">Files</h2>
              <TextField
                select
                fullWidth
                value={draft.volume?.name ?? ''}
                onChange={(event) => change({ volume: kept.find((volume) => volume.name === event.target.value) })}
                slotProps={{ select: { displayEmpty: true, SelectDisplayProps: { 'aria-labelledby': 'create-files' } } }}
              >
                <MenuItem value="">New volume · {formatMB(draft.volumeSize)}</MenuItem>
                {kept.map((volume) => (
                  <MenuItem key={volume.name} value={volume.name}>
                    Files of {volume.display_name} {volume.kept_since !== null && <span className="dim">&nbsp;· kept {formatAgo(volume.kept_since, now)}</span>}
                  </MenuItem>
                ))}
              </TextField>
            </div>
          )}
        </div>
        <SizeChoice limits={limits} draft={draft} onChange={change} problems={problems} />
        <details className={styles.more} open={moreShown} onToggle={(event) => setMoreShown(event.currentTarget.open)}>
          <summary>More: {host.can.limits && <>shared memory, processes{limits.gpus.max > 0 && ', GPUs'}, </>}disk, idle time, port</summary>
          <div className={styles.grid}>
            {fields.map(({ title, label, limit, field, problemAt, hint }) => (
              <div key={field}>
                <h3>
                  {title} <ActsWord limit={limit} />
                </h3>
                <LimitField label={label} labelHidden limit={limit} value={draft[field]} onChange={(value) => change({ [field]: value })} problem={problems[problemAt]} hint={hint} mayBeZero={field === 'shm' || field === 'gpus'} />
              </div>
            ))}
          </div>
          <div className={styles.section}>
            <IdleField
              label={
                <>
                  When idle <ActsWord limit={limits.idle_timeout} />
                </>
              }
              limit={limits.idle_timeout}
              value={draft.idleTimeout}
              onChange={(idleTimeout) => change({ idleTimeout })}
              problem={problems.idle_timeout}
            />
          </div>
          {draft.image !== undefined && (
            <div className={styles.section}>
              <h3>Image</h3>
              <ImageKind image={draft.image.image} profile={draft.profile} port={draft.port} onChange={change} problems={problems} />
            </div>
          )}
        </details>
      </div>
      <div className={styles.side}>
        <Fits id={verdictId} draft={draft} checked={checked} host={host} />
        <p className="small dim">
          CPU and memory <ActsWord limit={limits.cpus} /> · files <ActsWord limit={limits.volume_size} /> {!host.in_lab && 'on this host'}
        </p>
        {problem !== undefined && !isAtField(problem) && (
          <p className={styles.problem} role="alert">
            {problem.message}
          </p>
        )}
        <Button type="submit" variant="contained" color="primary" className={styles.create ?? ''} disabled={busy || readOnly || refused} aria-describedby={verdictId}>
          {waits ? 'Create and wait' : 'Create and open'} <kbd className="key">Enter</kbd>
        </Button>
        <Button variant="text" onClick={() => void navigate(pathTo.home(user))}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
