import Button from '@mui/material/Button';
import TextField from '@mui/material/TextField';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useId, useState, type ReactNode } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { putWorkspace, queries } from '../../api/cache';
import { errorOf, type ApiError } from '../../api/client';
import { useClient } from '../../api/context';
import type { Limit, Limits, Workspace } from '../../api/types';
import { ChoiceChips } from '../../components/ChoiceChips';
import { LimitField } from '../../components/LimitField';
import { ActsWord, AppliesWord } from '../../components/LimitWords';
import { editedFrom, updateOf, type Edited } from '../../model/changes';
import { formatIdle } from '../../model/format';
import { isAtField, nameProblemOf } from '../../model/problems';
import { hasEnded } from '../../model/state';
import { pathTo } from '../../paths';
import styles from './Settings.module.css';

interface Props {
  workspace: Workspace;
  limits: Limits;
  readOnly: boolean;
}

/** What was changed and not saved, by workspace: leaving the page by accident loses nothing. */
const unsaved = new Map<string, Partial<Edited>>();

/** A later workspace of the same name has the same id. */
function keyOf(workspace: Workspace): string {
  return `${workspace.id} ${workspace.created_at}`;
}

/** What can be changed, each with when it acts. */
export function Settings({ workspace, limits, readOnly }: Props) {
  const client = useClient();
  const cache = useQueryClient();
  const navigate = useNavigate();
  const focus = (useLocation().state as { focus?: string } | null)?.focus;
  // Only what was touched: the rest follows what others change meanwhile. It waits for who comes back to the page.
  const [touched, setTouchedHere] = useState<Partial<Edited>>(unsaved.get(keyOf(workspace)) ?? {});
  const setTouched = (next: Partial<Edited>): void => {
    unsaved.set(keyOf(workspace), next);
    setTouchedHere(next);
  };
  const [problem, setProblem] = useState<ApiError | undefined>();
  const [state, setState] = useState<'editing' | 'saving' | 'saved'>('editing');
  const edited = { ...editedFrom(workspace), ...touched };
  const update = updateOf(workspace, edited);
  // Who corrects what failed wants it to run.
  const starts = update !== undefined && hasEnded(workspace) && workspace.actions.includes('start');
  const restarts = update?.container_image !== undefined && workspace.desired === 'running' && !hasEnded(workspace);
  const nameProblem = nameProblemOf(problem, edited.name);
  const change = (part: Partial<Edited>): void => {
    setTouched({ ...touched, ...part });
    setProblem(undefined);
    setState('editing');
  };
  const save = async (): Promise<void> => {
    if (update === undefined) return;
    setState('saving');
    try {
      putWorkspace(cache, await client.update(workspace.id, update));
      setTouched({});
      setState('saved');
      if (starts) {
        await client.start(workspace.id);
        void navigate(pathTo.start(workspace.owner, workspace.id));
      }
    } catch (thrown) {
      setProblem(errorOf(thrown));
      setState('editing');
    }
  };
  return (
    <form
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <fieldset className={styles.fields} disabled={readOnly || !workspace.actions.includes('update')}>
        <Row title="Name" applies="live">
          <TextField fullWidth required value={edited.name} onChange={(event) => change({ name: event.target.value })} error={nameProblem !== ''} helperText={nameProblem} slotProps={{ htmlInput: { 'aria-label': 'Name', maxLength: 128, spellCheck: false } }} />
        </Row>
        <Row title="Image" applies="restart">
          <ImageField value={edited.image} onChange={(image) => change({ image })} problem={problem?.fields.container_image} autoFocus={focus === 'image'} />
        </Row>
        <Row title="CPU" limit={limits.cpus}>
          <LimitField label="CPUs" labelHidden limit={limits.cpus} value={edited.cpus} onChange={(cpus) => change({ cpus })} problem={problem?.fields['compute.cpus']} />
        </Row>
        <Row title="Memory" limit={limits.memory} note="Shared memory follows at the next start.">
          <LimitField label="Memory" labelHidden limit={limits.memory} value={edited.memory} onChange={(memory) => change({ memory })} problem={problem?.fields['compute.memory']} />
        </Row>
        <Row title="Files" limit={limits.volume_size}>
          <LimitField label="Files, at most" labelHidden limit={limits.volume_size} value={edited.volumeSize} onChange={(volumeSize) => change({ volumeSize })} problem={problem?.fields['storage.volume_size']} />
        </Row>
        <Row title="Container" limit={limits.container_size}>
          <LimitField label="Container, at most" labelHidden limit={limits.container_size} value={edited.containerSize} onChange={(containerSize) => change({ containerSize })} problem={problem?.fields['storage.container_size']} />
        </Row>
        {limits.idle_timeout.choices.length > 0 && (
          <Row title="When idle" limit={limits.idle_timeout}>
            <ChoiceChips
              label="When idle"
              labelHidden
              value={String(edited.idleTimeout)}
              choices={limits.idle_timeout.choices.map((seconds) => ({ value: String(seconds), label: formatIdle(seconds) }))}
              onChange={(value) => change({ idleTimeout: Number(value) })}
            />
          </Row>
        )}
      </fieldset>
      <div className={styles.foot}>
        {problem !== undefined && !isAtField(problem) && (
          <p className={styles.problem} role="alert">
            {problem.message}
          </p>
        )}
        <Button type="submit" variant="contained" color="primary" disabled={update === undefined || state === 'saving' || readOnly}>
          {starts ? 'Save and start' : restarts ? 'Save and restart' : 'Save'}
        </Button>
        {update !== undefined && (
          <Button
            variant="text"
            onClick={() => {
              setTouched({});
              setProblem(undefined);
            }}
          >
            Discard
          </Button>
        )}
        <span className="small dim" role="status">
          {restarts && 'Changing the image restarts the workspace at once. Unsaved work in it is lost; files stay.'}
          {state === 'saved' && update === undefined && 'Saved.'}
        </span>
      </div>
    </form>
  );
}

interface RowProps {
  title: string;
  applies?: 'live' | 'restart';
  limit?: Limit;
  note?: string;
  children: ReactNode;
}

function Row({ title, applies, limit, note, children }: RowProps) {
  const when = limit?.applies ?? applies;
  return (
    <div className={styles.row}>
      <div>
        <h2>{title}</h2>
        <div className={styles.words}>
          {when !== undefined && <AppliesWord applies={when} />}
          {limit !== undefined && <ActsWord limit={limit} />}
        </div>
        {note !== undefined && <p className="small dim">{note}</p>}
      </div>
      <div>{children}</div>
    </div>
  );
}

function ImageField({ value, onChange, problem, autoFocus }: { value: string; onChange: (image: string) => void; problem: string | undefined; autoFocus: boolean }) {
  const client = useClient();
  const list = useId();
  const { data: images = [] } = useQuery(queries.images(client));
  return (
    <>
      <TextField
        fullWidth
        required
        autoFocus={autoFocus}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        error={problem !== undefined}
        helperText={problem ?? ''}
        slotProps={{ htmlInput: { 'aria-label': 'Image', list, className: 'mono', spellCheck: false, autoCapitalize: 'off', maxLength: 2000 } }}
      />
      <datalist id={list}>
        {images.map((image) => (
          <option key={image.image} value={image.image}>
            {image.name}
          </option>
        ))}
      </datalist>
    </>
  );
}
