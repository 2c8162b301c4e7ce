// The one place for short messages that no row can say: what was deleted and how to undo it, and why a call failed.
import Button from '@mui/material/Button';
import Snackbar from '@mui/material/Snackbar';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useCallback, useContext, useState, type ReactNode } from 'react';
import { keys, queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useKeys } from '../../components/useKeys';

export interface Notice {
  text: string;
  action?: { label: string; run: () => void } | { label: string; href: string };
}

const NoticeContext = createContext<(notice: Notice) => void>(() => undefined);

/** How long a message stays, in ms. */
export const readingTime = 10_000;

export function NoticeProvider({ children }: { children: ReactNode }) {
  const [notice, setNotice] = useState<(Notice & { number: number }) | undefined>();
  const [open, setOpen] = useState(false);
  const show = useCallback((next: Notice) => {
    setNotice((before) => ({ ...next, number: (before?.number ?? 0) + 1 }));
    setOpen(true);
  }, []);
  const { data: gone } = useQuery(queries.gone);
  const [told, setTold] = useState<typeof gone>();
  if (gone !== told) {
    setTold(gone);
    if (gone !== undefined) show({ text: gone.reason });
  }
  const close = (): void => setOpen(false);
  const act = (): void => {
    const action = notice?.action;
    if (!open || action === undefined || !('run' in action)) return;
    close();
    action.run();
  };
  // The button is far away for the keyboard.
  useKeys({ z: act, 'Ctrl+z': act });

  return (
    <NoticeContext value={show}>
      {children}
      <Snackbar
        key={notice?.number}
        open={open}
        autoHideDuration={readingTime}
        onClose={(_, reason) => {
          if (reason !== 'clickaway') close();
        }}
        message={notice?.text}
        action={
          <>
            {notice?.action !== undefined && <NoticeButton action={notice.action} onFollow={close} onRun={act} />}
            <Button variant="text" color="inherit" sx={onDark} onClick={close}>
              Close
            </Button>
          </>
        }
      />
    </NoticeContext>
  );
}

const onDark = { color: 'inherit', '&:hover': { background: 'transparent', textDecoration: 'underline' } } as const;

function NoticeButton({ action, onFollow, onRun }: { action: NonNullable<Notice['action']>; onFollow: () => void; onRun: () => void }) {
  if ('href' in action) {
    // A link is followed even where scripts may not open tabs.
    return (
      <Button variant="text" sx={onDark} href={action.href} target="_blank" rel="noopener" onClick={onFollow}>
        {action.label}
      </Button>
    );
  }
  return (
    <Button variant="text" sx={onDark} onClick={onRun}>
      {action.label}
      <kbd className="key" aria-hidden="true" style={{ marginLeft: 8 }}>
        Z
      </kbd>
    </Button>
  );
}

export function useNotice(): (notice: Notice) => void {
  return useContext(NoticeContext);
}

/** Runs something and says why when it fails; returns whether it went well. */
export function useReported(): (work: () => Promise<unknown>) => Promise<boolean> {
  const notify = useNotice();
  const cache = useQueryClient();
  return useCallback(
    async (work) => {
      try {
        await work();
        return true;
      } catch (thrown) {
        const error = errorOf(thrown);
        // The session has ended: asking who am I shows the login.
        if (error.status === 401) void cache.invalidateQueries({ queryKey: keys.me });
        else notify({ text: error.message });
        return false;
      }
    },
    [notify, cache],
  );
}
