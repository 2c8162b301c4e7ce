import Button from '@mui/material/Button';
import Checkbox from '@mui/material/Checkbox';
import FormControlLabel from '@mui/material/FormControlLabel';
import TextField from '@mui/material/TextField';
import { useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useClient } from '../../api/context';
import type { Workspace } from '../../api/types';
import { useDelayed } from '../../components/useDelayed';
import { filterLines } from '../../model/logBuffer';
import { useReported } from '../actions/notices';
import styles from './Logs.module.css';
import { useLog } from './useLog';

export function Logs({ workspace }: { workspace: Workspace }) {
  const client = useClient();
  const reported = useReported();
  const alive = workspace.status === 'running' || workspace.status === 'pending';
  const log = useLog(workspace.id, alive);
  const slow = useDelayed(!log.loaded);
  const [find, setFind] = useState('');
  const [follows, setFollows] = useState(true);
  const [copied, setCopied] = useState(false);
  const box = useRef<HTMLPreElement>(null);
  const shown = useMemo(() => filterLines(log.lines, find), [log.lines, find]);
  const text = useMemo(() => shown.join('\n'), [shown]);

  useLayoutEffect(() => {
    if (follows) box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [text, follows]);

  const copy = async (): Promise<void> => {
    setCopied(await reported(() => navigator.clipboard.writeText(text)));
  };

  return (
    <section aria-label="Logs">
      <div className={styles.tools}>
        <TextField
          className={styles.find ?? ''}
          type="search"
          placeholder="Only lines with …"
          value={find}
          onChange={(event) => setFind(event.target.value)}
          slotProps={{ htmlInput: { 'aria-label': 'Only lines with', spellCheck: false } }}
        />
        <span className="small dim" role="status">
          {find.trim() !== '' && `${shown.length} of ${log.lines.length} lines`}
          {find.trim() === '' && log.dropped > 0 && `the last ${log.lines.length} lines`}
        </span>
        <span className="spacer" />
        <FormControlLabel control={<Checkbox size="small" checked={follows} onChange={(event) => setFollows(event.target.checked)} />} label="Follow" />
        {window.isSecureContext && (
          <Button disabled={text === ''} onClick={copy} onBlur={() => setCopied(false)}>
            {copied ? 'Copied' : 'Copy'}
          </Button>
        )}
        {/* The window has no downloads of its own; copying works there. */}
        {client.kind === 'http' && (
          <Button disabled={text === ''} onClick={() => download(`${workspace.display_name}.log`, text)}>
            Download
          </Button>
        )}
      </div>
      <pre
        ref={box}
        className={styles.log}
        tabIndex={0}
        aria-label={`Log of ${workspace.display_name}`}
        // Who scrolls up wants to read; who is back at the end wants to follow.
        onScroll={({ currentTarget: at }) => setFollows(at.scrollHeight - at.scrollTop - at.clientHeight < 24)}
      >
        {text}
        {text === '' && log.loaded && <span className="dim">{emptyText(log.error?.detail, log.lines.length > 0, alive)}</span>}
        {slow && <span className="dim">Reading the log …</span>}
      </pre>
      {text !== '' && log.error !== undefined && <p className="small dim">{log.error.message}</p>}
    </section>
  );
}

function emptyText(error: string | undefined, hasLines: boolean, alive: boolean): string {
  if (error !== undefined) return error;
  if (hasLines) return 'No line has this in it.';
  return alive ? 'Nothing was written yet.' : 'There is no log: it has not run, or its container is gone.';
}

function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text, '\n'], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
