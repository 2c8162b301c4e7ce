import Button from '@mui/material/Button';
import IconButton from '@mui/material/IconButton';
import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';
import { useColorScheme } from '@mui/material/styles';
import { useState, type RefObject } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { useConnected } from '../api/context';
import { useFind } from '../features/home/find';
import { formatCpus, formatMB } from '../model/format';
import { engineName } from '../model/lab';
import { pathTo } from '../paths';
import { useAdmin } from './useAdmin';
import { useCan, useHost } from './useHost';
import { StateShape } from './StateMark';
import styles from './Bar.module.css';

interface Props {
  user: string;
  findField: RefObject<HTMLInputElement | null>;
  onShowKeys: () => void;
}

/** Inside ML Lab's frame its own bar stands above ours, so ours shrinks. */
const framed = window.top !== window;

export function Bar({ user, findField, onShowKeys }: Props) {
  const navigate = useNavigate();
  const admin = useAdmin();
  return (
    <header className={styles.bar} data-framed={framed}>
      {!framed && (
        <>
          <Link className={styles.brand} to={pathTo.home(user)}>
            <span className={styles.mark} aria-hidden="true">W</span>
            <span className={styles.title}>Workspaces</span>
          </Link>
          <HostChip />
        </>
      )}
      <span className="spacer" />
      <FindField user={user} field={findField} />
      {admin && (
        <Link className={styles.admin} to={pathTo.admin()}>
          Admin
        </Link>
      )}
      <Button variant="contained" color="primary" onClick={() => void navigate(pathTo.create(user))} aria-keyshortcuts="n">
        <span className={styles.newLong}>New workspace</span>
        <span className={styles.newShort}>New</span>
        <kbd className={`key ${styles.hint}`}>N</kbd>
      </Button>
      {!framed && <BarMenu user={user} onShowKeys={onShowKeys} />}
    </header>
  );
}

/** Goes to the first row, once the list below shows what was typed. */
function focusFirstFound(): void {
  if (document.querySelector('[data-behind="true"]') !== null) requestAnimationFrame(focusFirstFound);
  else document.querySelector<HTMLElement>('[data-workspace]')?.focus();
}

function FindField({ user, field }: { user: string; field: RefObject<HTMLInputElement | null> }) {
  const { text, setText } = useFind();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  return (
    <label className={styles.find}>
      <input
        ref={field}
        type="search"
        aria-label="Find workspaces"
        aria-keyshortcuts="/ Control+k"
        placeholder="Find …"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          if (pathname !== pathTo.home(user)) void navigate(pathTo.home(user));
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            setText('');
            event.currentTarget.blur();
          } else if (event.key === 'Enter' || event.key === 'ArrowDown') {
            event.preventDefault();
            focusFirstFound();
          }
        }}
      />
      <kbd className={`key ${styles.hint}`}>Ctrl K</kbd>
    </label>
  );
}

function HostChip() {
  const connected = useConnected();
  const host = useHost();
  if (host === undefined) return null;
  const well = host.reachable && connected;
  // Of its machines a lab tells nothing.
  const machine = host.cpus > 0 ? [formatCpus(host.cpus), formatMB(host.memory)] : [];
  const parts = host.reachable ? [`${engineName(host)} ${host.version}`, ...machine] : [`${engineName(host)} does not answer`];
  return (
    <span className={styles.host} data-well={well} title={host.endpoint}>
      <StateShape shape={well ? 'run' : 'fail'} />
      {connected ? parts.join(' · ') : 'Reconnecting …'}
    </span>
  );
}

const schemes = [['system', 'As the system'], ['light', 'Light'], ['dark', 'Dark']] as const;

function BarMenu({ user, onShowKeys }: { user: string; onShowKeys: () => void }) {
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const { mode, setMode } = useColorScheme();
  const admin = useAdmin();
  const volumes = useCan('volumes');
  const navigate = useNavigate();
  const close = (): void => setAnchor(null);
  return (
    <>
      <IconButton aria-label="Menu" aria-haspopup="menu" aria-expanded={anchor !== null} onClick={(event) => setAnchor(event.currentTarget)}>
        ⋯
      </IconButton>
      {anchor !== null && (
        <Menu open anchorEl={anchor} onClose={close}>
          {volumes && (
            <MenuItem
              onClick={() => {
                close();
                void navigate(pathTo.volumes(user));
              }}
            >
              Kept volumes
            </MenuItem>
          )}
          {admin && (
            <MenuItem
              onClick={() => {
                close();
                void navigate(pathTo.admin());
              }}
            >
              Administration
            </MenuItem>
          )}
          <MenuItem
            onClick={() => {
              close();
              onShowKeys();
            }}
          >
            Keyboard shortcuts <span className="spacer" />
            <kbd className="key">?</kbd>
          </MenuItem>
          {schemes.map(([scheme, label]) => (
            <MenuItem key={scheme} role="menuitemradio" aria-checked={mode === scheme} selected={mode === scheme} onClick={() => setMode(scheme)}>
              Colours: {label.toLowerCase()}
            </MenuItem>
          ))}
        </Menu>
      )}
    </>
  );
}
