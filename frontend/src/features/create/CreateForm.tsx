import Button from '@mui/material/Button';
import MenuItem from '@mui/material/MenuItem';
import TextField from '@mui/material/TextField';
import { useState, type SubmitEvent } from 'react';
import { useNavigate } from 'react-router';
import { ApiError, errorOf } from '../../api/client';
import type { Host, Image, Volume, Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { ChoiceChips } from '../../components/ChoiceChips';
import { LimitField } from '../../components/LimitField';
import { ActsWord } from '../../components/LimitWords';
import { useKeys } from '../../components/useKeys';
import { useNow } from '../../components/useNow';
import { useUser } from '../../components/user';
import { inputOf, nameOf, newDraft, type Draft } from '../../model/draft';
import { formatAgo, formatIdle, formatMB } from '../../model/format';
import { isAtField, nameProblemOf, takenName } from '../../model/problems';
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

export function CreateForm({ host, images, workspaces, kept, wish }: Props) {
  const user = useUser();
  const navigate = useNavigate();
  const create = useCreate();
  const readOnly = useReadOnly();
  const now = useNow(60_000);
  const limits = host.limits;
  const [draft, setDraft] = useState<Draft>(() =>
    newDraft(images, limits, { anyImage: wish.anyImage, volume: kept.find((volume) => volume.name === wish.volume) }),
  );
  const [problem, setProblem] = useState<ApiError | undefined>();
  const [busy, setBusy] = useState(false);
  const [moreShown, setMoreShown] = useState(false);
  const taken = workspaces.map((workspace) => workspace.display_name);
  const change = (part: Partial<Draft>): void => {
    setDraft({ ...draft, ...part });
    setProblem(undefined);
  };

  const name = nameOf(draft, taken);
  const nameProblem = taken.includes(name.trim()) ? takenName(name) : nameProblemOf(problem, name);
  useKeys({ Escape: () => void navigate(pathTo.home(user)) });

  const submit = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (nameProblem !== '') return; // a tab would open and close
    setBusy(true);
    try {
      await create(inputOf(draft, taken));
    } catch (thrown) {
      const error = errorOf(thrown);
      setProblem(error);
      if (Object.keys(error.fields).some((field) => field.startsWith('storage.'))) setMoreShown(true);
      setBusy(false);
    }
  };

  return (
    <form
      className={styles.form}
      onSubmit={(event) => void submit(event)}
      onInvalidCapture={(event) => {
        if (moreShown || !(event.target as HTMLElement).closest('details')) return;
        // What is wrong must be seen before the browser can point at it.
        event.preventDefault();
        const form = event.currentTarget;
        setMoreShown(true);
        requestAnimationFrame(() => form.reportValidity());
      }}
    >
      <div className={styles.fields}>
        <h1>New workspace</h1>
        <ImageChoice images={images} draft={draft} onChange={change} problem={problem?.fields.container_image} />
        <div className={styles.pair}>
          <div>
            <h2 id="create-name">Name</h2>
            <TextField
              fullWidth
              autoFocus
              required
              value={name}
              onChange={(event) => change({ name: event.target.value })}
              onFocus={(event) => event.target.select()}
              error={nameProblem !== ''}
              helperText={nameProblem}
              slotProps={{ htmlInput: { 'aria-labelledby': 'create-name', maxLength: 128, autoComplete: 'off', spellCheck: false } }}
            />
          </div>
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
        </div>
        <SizeChoice limits={limits} draft={draft} onChange={change} problems={problem?.fields ?? {}} />
        {limits.idle_timeout.choices.length > 0 && (
          <ChoiceChips
            label={
              <>
                When idle <ActsWord limit={limits.idle_timeout} />
              </>
            }
            value={String(draft.idleTimeout)}
            choices={limits.idle_timeout.choices.map((seconds) => ({ value: String(seconds), label: formatIdle(seconds) }))}
            onChange={(value) => change({ idleTimeout: Number(value) })}
          />
        )}
        <details className={styles.more} open={moreShown} onToggle={(event) => setMoreShown(event.currentTarget.open)}>
          <summary>Limits of files and container</summary>
          <div className={styles.pair}>
            <div>
              <h3>
                Files <ActsWord limit={limits.volume_size} />
              </h3>
              <LimitField label="Files, at most" labelHidden limit={limits.volume_size} value={draft.volumeSize} onChange={(volumeSize) => change({ volumeSize })} problem={problem?.fields['storage.volume_size']} />
            </div>
            <div>
              <h3>
                Container <ActsWord limit={limits.container_size} />
              </h3>
              <LimitField label="Container, at most" labelHidden limit={limits.container_size} value={draft.containerSize} onChange={(containerSize) => change({ containerSize })} problem={problem?.fields['storage.container_size']} />
            </div>
          </div>
        </details>
      </div>
      <div className={styles.side}>
        <Fits draft={draft} workspaces={workspaces} host={host} />
        {problem !== undefined && !isAtField(problem) && (
          <p className={styles.problem} role="alert">
            {problem.message}
          </p>
        )}
        <Button type="submit" variant="contained" color="primary" className={styles.create ?? ''} disabled={busy || readOnly}>
          Create and open <kbd className="key">Enter</kbd>
        </Button>
        <Button variant="text" onClick={() => void navigate(pathTo.home(user))}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
