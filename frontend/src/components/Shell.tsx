import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Link, Outlet, useLocation, useNavigate } from 'react-router';
import { FindProvider } from '../features/home/find';
import { OpeningProvider } from '../features/actions/opening';
import { ShortcutSheet } from '../features/shortcuts/ShortcutSheet';
import { pathTo } from '../paths';
import { Announcer } from './Announcer';
import { Banner } from './Banner';
import { Bar } from './Bar';
import { ConfigNotices } from './ConfigNotices';
import styles from './Shell.module.css';
import { useAdmin } from './useAdmin';
import { useKeys } from './useKeys';
import { useWhose } from './user';

/** What stands around every page, and around what is shown instead of one. */
export function Shell({ instead }: { instead?: ReactNode }) {
  const { me, owner } = useWhose();
  const user = owner.id;
  const navigate = useNavigate();
  const admin = useAdmin();
  const findField = useRef<HTMLInputElement>(null);
  const [keysShown, setKeysShown] = useState(false);

  const focusFind = (event: KeyboardEvent): void => {
    event.preventDefault();
    findField.current?.focus();
    findField.current?.select();
  };
  useKeys({
    n: (event) => {
      event.preventDefault();
      void navigate(pathTo.create(user));
    },
    '/': focusFind,
    'Ctrl+k': focusFind,
    '?': () => setKeysShown(true),
  });

  useFocusAfterNavigation();

  return (
    <OpeningProvider>
      <FindProvider>
        <Bar user={user} findField={findField} onShowKeys={() => setKeysShown(true)} />
        <Banner />
        {admin && <ConfigNotices />}
        <main className={styles.main}>
          {owner.id !== me.id && (
            <p className={styles.whose}>
              Workspaces of <b>{owner.name}</b> · <Link to={pathTo.home(me.id)}>Show mine</Link>
            </p>
          )}
          {instead ?? <Outlet />}
        </main>
        <Announcer />
        {keysShown && <ShortcutSheet onClose={() => setKeysShown(false)} />}
      </FindProvider>
    </OpeningProvider>
  );
}

/** Puts the focus where reading begins: on the row one came back from, else on the heading. Pages that have put it somewhere keep it. */
function useFocusAfterNavigation(): void {
  const { pathname } = useLocation();
  const before = useRef(pathname);
  useEffect(() => {
    const from = before.current;
    before.current = pathname;
    if (from === pathname || document.querySelector('main')?.contains(document.activeElement) === true) return;
    const id = /\/workspace\/([^/]+)/.exec(from)?.[1];
    const row = id === undefined ? null : document.querySelector<HTMLElement>(`[data-workspace="${CSS.escape(id)}"]`);
    const target = row ?? document.querySelector<HTMLElement>('main h1');
    if (target === null) return;
    if (target !== row) target.tabIndex = -1;
    target.focus({ preventScroll: row === null });
  }, [pathname]);
}
