import { useState } from 'react';
import type { Workspace } from '../../api/types';
import styles from './ExtendLink.module.css';
import { useActions } from './useActions';

/** Asks for its idle timeout once more. */
export function ExtendLink({ workspace }: { workspace: Workspace }) {
  const actions = useActions();
  const [busy, setBusy] = useState(false);
  const extend = async (): Promise<void> => {
    setBusy(true);
    await actions.extend(workspace);
    setBusy(false);
  };
  return (
    <button type="button" className={styles.link} disabled={busy} aria-label={`Extend ${workspace.display_name}`} onClick={() => void extend()}>
      Extend
    </button>
  );
}
