// Opening workspaces: at once when they run, or in a tab that waits until they do.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, type ReactNode } from 'react';
import { keys, queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import type { Workspace } from '../../api/types';
import { probeAddress } from '../../model/address';
import { queueText } from '../../model/rowLine';
import { currentStep } from '../../model/state';
import { useNotice } from './notices';
import { openWaitingTab, type WaitingTab } from './waitingTab';

interface Opening {
  /** Opens a running workspace. Must be called while a click or key is handled. */
  open: (workspace: Pick<Workspace, 'id' | 'display_name'>) => void;
  /** Takes a tab now for a workspace that will run; hand over its id once it is in the cache, or undefined when it will never be. */
  openWhenRunning: (name: string) => (id: string | undefined) => void;
}

const OpeningContext = createContext<Opening | undefined>(undefined);

export function useOpening(): Opening {
  const opening = useContext(OpeningContext);
  if (opening === undefined) throw new Error('useOpening needs an OpeningProvider around it');
  return opening;
}

export function OpeningProvider({ children }: { children: ReactNode }) {
  const client = useClient();
  const cache = useQueryClient();
  const notify = useNotice();
  const { data: workspaces } = useQuery(queries.workspaces(client));
  const waiting = useRef(new Map<string, WaitingTab | undefined>());

  const address = useCallback(async () => {
    if (client.kind === 'desktop') return undefined;
    const host = await cache.query({ ...queries.host(client), staleTime: 'static' });
    if (host.in_lab) return undefined; // the lab's proxy serves them, at its own address
    return cache.query({
      queryKey: ['address', host.access],
      queryFn: async () => (await probeAddress(host.access, { hostname: window.location.hostname, fetch: window.fetch.bind(window) })) ?? null,
      staleTime: Infinity,
    });
  }, [client, cache]);

  // Asked ahead, so that the first click does not wait for it.
  useEffect(() => void address().catch(() => undefined), [address]);

  const goTo = useCallback(
    async (id: string, tab: WaitingTab | undefined) => {
      try {
        const url = await client.open(id, (await address()) ?? undefined);
        if (tab !== undefined) tab.go(url);
        else if (client.kind === 'http') notify({ text: 'The browser did not allow a new tab.', action: { label: 'Open', href: url } });
      } catch (thrown) {
        tab?.close();
        notify({ text: errorOf(thrown).message });
      }
    },
    [client, address, notify],
  );

  const settle = useCallback(() => {
    const known = cache.getQueryData<Workspace[]>(keys.workspaces) ?? [];
    for (const [id, tab] of waiting.current) {
      const workspace = known.find((one) => one.id === id);
      if (workspace?.status === 'pending') {
        tab?.tell(progressText(workspace));
        continue;
      }
      waiting.current.delete(id);
      if (workspace?.status === 'running') void goTo(id, tab);
      else tab?.close();
    }
  }, [cache, goTo]);
  useEffect(settle, [workspaces, settle]);

  // A page that goes takes the tabs with it that nobody else would move.
  useEffect(() => {
    const leave = (): void => waiting.current.forEach((tab) => tab?.close());
    window.addEventListener('pagehide', leave);
    return () => window.removeEventListener('pagehide', leave);
  }, []);

  const opening = useMemo<Opening>(
    () => ({
      open: (workspace) => void goTo(workspace.id, client.kind === 'http' ? openWaitingTab(`Opening ${workspace.display_name} …`) : undefined),
      openWhenRunning: (name) => {
        const tab = client.kind === 'http' ? openWaitingTab(`Starting ${name} …`) : undefined;
        return (id) => {
          if (id === undefined) {
            tab?.close();
          } else {
            waiting.current.set(id, tab); // without a tab, a message offers the address once it runs
            settle();
          }
        };
      },
    }),
    [client, goTo, settle],
  );

  return <OpeningContext value={opening}>{children}</OpeningContext>;
}

function progressText(workspace: Workspace): string {
  if (workspace.phase === 'queued') return `${workspace.display_name} waits, ${queueText(workspace)}. ${workspace.reason}`;
  const current = currentStep(workspace);
  const how = current === undefined ? workspace.reason : [current.step.title, current.step.detail].filter((part) => part !== '').join(' · ');
  return `Starting ${workspace.display_name}${how === '' ? ' …' : `: ${how}`}`;
}
