import Button from '@mui/material/Button';
import TextField from '@mui/material/TextField';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { errorOf, type ApiError } from '../../api/client';
import { useClient } from '../../api/context';
import { labPageOf } from '../../model/lab';
import styles from './LoginPage.module.css';

interface Props {
  /** Why who comes is not let in. */
  reason: ApiError;
  onAgain: () => void;
}

/** The way in where no session is: the owner's token, or in a lab the lab's own. */
export function LoginPage({ reason, onAgain }: Props) {
  return reason.hint === '' ? <TokenLogin /> : <LabLogin hint={reason.hint} onAgain={onAgain} />;
}

/** Within the lab's frame its page takes the place of the whole. */
function LabLogin({ hint, onAgain }: { hint: string; onAgain: () => void }) {
  const lab = labPageOf(document.baseURI);
  return (
    <main className={styles.page}>
      <title>Log in · Workspaces</title>
      <h1>You are not logged in to ML Lab</h1>
      <p className="dim">{hint}</p>
      <div className={styles.ways}>
        {lab !== undefined && (
          <Button variant="contained" color="primary" href={lab} target="_top">
            Go to ML Lab
          </Button>
        )}
        <Button onClick={onAgain}>Load again</Button>
      </div>
    </main>
  );
}

/** Asks for the owner's token. */
function TokenLogin() {
  const client = useClient();
  const cache = useQueryClient();
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);

  const linkIsUsed = new URLSearchParams(window.location.search).get('link') === 'used';

  const submit = async (): Promise<void> => {
    setBusy(true);
    try {
      await client.login(token.trim());
      await cache.resetQueries();
    } catch (thrown) {
      setProblem(errorOf(thrown).message);
    }
    setBusy(false);
  };

  return (
    <main className={styles.page}>
      <h1>Log in to Workspaces</h1>
      {linkIsUsed && <p role="alert">This link was used already, or is older than ten minutes. Start the program again for a fresh one, or use the token.</p>}
      <p className="dim">
        The token is in <code className="mono">$XDG_STATE_HOME/lab-workspace-manager/token</code> on the machine that serves this page. This
        prints it: <code className={`mono ${styles.command}`}>lab-workspace-manager token show</code>
      </p>
      <form className={styles.form} action={submit}>
        <TextField
          fullWidth
          label="Token"
          autoFocus
          type="password"
          autoComplete="current-password"
          value={token}
          onChange={(event) => {
            setToken(event.target.value);
            setProblem('');
          }}
          error={problem !== ''}
          helperText={problem}
          slotProps={{ inputLabel: { required: false }, htmlInput: { spellCheck: false }, formHelperText: { role: 'alert' } }}
        />
        <Button type="submit" variant="contained" color="primary" disabled={busy || token.trim() === ''}>
          Log in
        </Button>
      </form>
    </main>
  );
}
