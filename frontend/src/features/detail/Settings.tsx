import Button from '@mui/material/Button';
import TextField from '@mui/material/TextField';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useId, useRef, useState, type ReactNode } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { putWorkspace, queries } from '../../api/cache';
import { errorOf, type ApiError } from '../../api/client';
import { useClient } from '../../api/context';
import type { Host, Limit, Workspace, WorkspaceUpdate } from '../../api/types';
import { isComplete, useComplaint } from '../../components/complaints';
import { IdleField } from '../../components/IdleField';
import { ImageKind } from '../../components/ImageKind';
import { LimitField } from '../../components/LimitField';
import { ActsWord, AppliesWord } from '../../components/LimitWords';
import { useCheck } from '../../components/useCheck';
import { VerdictBox } from '../../components/VerdictBox';
import { editedFrom, updateOf, type Edited } from '../../model/changes';
import { formatMB } from '../../model/format';
import { restartsAtOnce } from '../../model/lab';
import { isAtField, nameProblemOf, noImage, noName } from '../../model/problems';
import { hasEnded } from '../../model/state';
import { pathTo } from '../../paths';
import styles from './Settings.module.css';

interface Props {
  workspace: Workspace;
  host: Host;
  readOnly: boolean;
}

/** What was changed and not saved, by workspace: leaving the page by accident loses nothing. */
const unsaved = new Map<string, Partial<Edited>>();

/** A later workspace of the same name has the same id. */
function keyOf(workspace: Workspace): string {
  return `${workspace.id} ${workspace.created_at}`;
}

/** What can be changed, each with when it acts. */
export function Settings({ workspace, host, readOnly }: Props) {
  const { can, limits: usual } = host;
  const client = useClient();
  const verdictId = useId();
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
  const before = editedFrom(workspace);
  const edited = { ...before, ...touched };
  const update = updateOf(workspace, edited);
  // Who corrects what failed wants it to run.
  const starts = update !== undefined && hasEnded(workspace) && workspace.actions.includes('start');
  const { data: limits = usual } = useQuery({ ...queries.limits(client, edited.profile), placeholderData: keepPreviousData });
  const checked = useCheck(workspace.id, update, (asked: WorkspaceUpdate, signal) => client.checkUpdate(workspace.id, asked, signal));
  const problems = { ...checked.error?.fields, ...problem?.fields };
  // One that does not run is asked about its next start, and can be changed meanwhile.
  const refused = checked.current && ((checked.check?.verdict === 'refused' && workspace.status === 'running') || checked.error?.code === 'invalid');
  const restarts = restartsAtOnce(workspace, update, can);
  const button = useRef<HTMLButtonElement>(null);
  const complaint = useComplaint(() => noName);
  const nameProblem = complaint.text !== '' ? complaint.text : nameProblemOf(problem ?? checked.error, edited.name);
  const change = (part: Partial<Edited>): void => {
    setTouched({ ...touched, ...part });
    setProblem(undefined);
    setState('editing');
  };
  const save = async (): Promise<void> => {
    if (update === undefined || refused) return;
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
      noValidate
      onKeyDown={(event) => {
        // What ends a running container is done by its button alone, never by the Enter that ends typing.
        if (event.key !== 'Enter' || !restarts || !(event.target instanceof HTMLInputElement)) return;
        event.preventDefault();
        button.current?.focus();
      }}
      onSubmit={(event) => {
        event.preventDefault();
        if (isComplete(event.currentTarget)) void save();
      }}
    >
      <fieldset className={styles.fields} disabled={readOnly || !workspace.actions.includes('update')}>
        {can.rename && (
          <Row title="Name" applies="live" can={can}>
            <TextField
              fullWidth
              required
              value={edited.name}
              onChange={(event) => {
                change({ name: event.target.value });
                complaint.forget();
              }}
              error={nameProblem !== ''}
              helperText={nameProblem}
              slotProps={{ htmlInput: { onInvalid: complaint.onInvalid, 'aria-label': 'Name', spellCheck: false } }}
            />
          </Row>
        )}
        <Row title="Image" applies="restart" can={can}>
          <ImageField
            value={edited.image}
            // What the image before was says nothing of another one.
            onChange={(image) => change({ image, profile: image.trim() === workspace.container_image ? workspace.profile : '', port: image.trim() === workspace.container_image ? workspace.port : 0 })}
            problem={problems.container_image}
            autoFocus={focus === 'image'}
          />
          <ImageKind image={edited.image} profile={edited.profile} port={edited.port} onChange={change} problems={problems} />
        </Row>
        <Row title="CPU" limit={limits.cpus} can={can}>
          <LimitField label="CPUs" labelHidden limit={limits.cpus} value={edited.cpus} before={before.cpus} onChange={(cpus) => change({ cpus })} problem={problems['compute.cpus']} />
        </Row>
        <Row title="Memory" limit={limits.memory} note={can.limits ? 'Shared memory follows at the next start.' : undefined} can={can}>
          <LimitField label="Memory" labelHidden limit={limits.memory} value={edited.memory} before={before.memory} onChange={(memory) => change({ memory })} problem={problems['compute.memory']} />
        </Row>
        {can.limits && limits.gpus.max > 0 && (
          <Row title="GPUs" limit={limits.gpus} can={can}>
            <LimitField label="GPUs" labelHidden limit={limits.gpus} value={edited.gpus} before={before.gpus} onChange={(gpus) => change({ gpus })} problem={problems['compute.gpus']} mayBeZero />
          </Row>
        )}
        <Row title="Files" limit={{ ...limits.volume_size, acts: workspace.storage.volume_acts }} note={usedNote(workspace.storage.volume_used)} can={can}>
          <LimitField label="Files, at most" labelHidden limit={limits.volume_size} value={edited.volumeSize} before={before.volumeSize} onChange={(volumeSize) => change({ volumeSize })} problem={problems['storage.volume_size']} />
        </Row>
        <Row title="Container" limit={{ ...limits.container_size, acts: workspace.storage.container_acts }} note={usedNote(workspace.storage.container_used)} can={can}>
          <LimitField label="Container, at most" labelHidden limit={limits.container_size} value={edited.containerSize} before={before.containerSize} onChange={(containerSize) => change({ containerSize })} problem={problems['storage.container_size']} hint="What is written outside of the files" />
        </Row>
        <Row title="When idle" limit={limits.idle_timeout} can={can}>
          <IdleField label="When idle" labelHidden limit={limits.idle_timeout} value={edited.idleTimeout} before={before.idleTimeout} onChange={(idleTimeout) => change({ idleTimeout })} problem={problems.idle_timeout} />
        </Row>
        {can.limits && (
          <Row title="Shared memory" limit={limits.shm} can={can}>
            <LimitField label="Shared memory" labelHidden limit={limits.shm} value={edited.shm} before={before.shm} onChange={(shm) => change({ shm })} problem={problems['compute.shm']} hint="0 goes with the memory" mayBeZero />
          </Row>
        )}
        {can.limits && (
          <Row title="Processes" limit={limits.processes} can={can}>
            <LimitField label="Processes, at most" labelHidden limit={limits.processes} value={edited.processes} before={before.processes} onChange={(processes) => change({ processes })} problem={problems['compute.processes']} />
          </Row>
        )}
      </fieldset>
      <div className={styles.foot}>
        {update !== undefined && (update.compute !== undefined || update.storage !== undefined || checked.error !== undefined) && (
          <div className={styles.verdict}>
            <VerdictBox id={verdictId} checked={checked} {...(workspace.status === 'running' ? {} : { about: 'At its next start:' })}>
              {checked.check?.verdict === 'fits' && workspace.status !== 'running' && ' It acts from the next start on.'}
            </VerdictBox>
          </div>
        )}
        {problem !== undefined && !isAtField(problem) && (
          <p className={styles.problem} role="alert">
            {problem.message}
          </p>
        )}
        <Button ref={button} type="submit" variant="contained" color="primary" disabled={update === undefined || state === 'saving' || readOnly || refused} aria-describedby={verdictId}>
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
          {restarts && `${can.resize ? 'Changing the image or its port restarts the workspace' : 'This restarts the workspace'} at once. Unsaved work in it is lost; files stay.`}
          {state === 'saved' && update === undefined && 'Saved.'}
        </span>
      </div>
    </form>
  );
}

/** How much of a limit is taken, as far as it was measured. */
function usedNote(used: number | null): string | undefined {
  return used === null ? undefined : `${formatMB(used)} used.`;
}

interface RowProps {
  title: string;
  applies?: 'live' | 'restart';
  limit?: Limit;
  note?: string | undefined;
  can: Host['can'];
  children: ReactNode;
}

function Row({ title, applies, limit, note, can, children }: RowProps) {
  const when = limit?.applies ?? applies;
  return (
    <div className={styles.row}>
      <div>
        <h2>{title}</h2>
        <div className={styles.words}>
          {when !== undefined && <AppliesWord applies={when} resizes={can.resize} />}
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
  const complaint = useComplaint(() => noImage);
  const wrong = complaint.text !== '' ? complaint.text : (problem ?? '');
  const { data: images = [] } = useQuery(queries.images(client));
  return (
    <>
      <TextField
        fullWidth
        required
        autoFocus={autoFocus}
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
          complaint.forget();
        }}
        error={wrong !== ''}
        helperText={wrong}
        slotProps={{ htmlInput: { onInvalid: complaint.onInvalid, 'aria-label': 'Image', list, className: 'mono', spellCheck: false, autoCapitalize: 'off', maxLength: 2000 } }}
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
