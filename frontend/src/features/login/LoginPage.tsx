import Button from '@mui/material/Button';
import TextField from '@mui/material/TextField';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import styles from './LoginPage.module.css';

/** Asks for the owner's token where no session is. */
export function LoginPage() {
  const client = useClient();
  const cache = useQueryClient();
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);

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
      <p className="dim">
        The token is in <code className="mono">$XDG_STATE_HOME/lab-workspace-manager/token</code> on the machine that serves this page. This
        prints it: <code className="mono">lab-workspace-manager token show</code>
      </p>
      <form className={styles.form} action={submit}>
        <TextField
          fullWidth
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
          slotProps={{ htmlInput: { 'aria-label': 'Token', spellCheck: false }, formHelperText: { role: 'alert' } }}
        />
        <Button type="submit" variant="contained" color="primary" disabled={busy || token.trim() === ''}>
          Log in
        </Button>
      </form>
    </main>
  );
}
