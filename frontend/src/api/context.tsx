// Gives every page the client, and keeps the cache fresh by its events.
import { useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useState, type ReactNode } from 'react';
import { applyEvent, keys } from './cache';
import type { WorkspaceClient } from './client';
import { createDesktopClient } from './desktop';
import { apiBesidePage, createHttpClient } from './http';

const ClientContext = createContext<WorkspaceClient | undefined>(undefined);
const ConnectionContext = createContext(true);

/** The client of the window where there is one, else the one of the browser. */
export function createClient(): WorkspaceClient {
  const app = window.go?.main?.App;
  if (app !== undefined && window.runtime !== undefined) return createDesktopClient(app, window.runtime);
  return createHttpClient(apiBesidePage(document.baseURI));
}

export function ClientProvider({ client, children }: { client: WorkspaceClient; children: ReactNode }) {
  return <ClientContext value={client}>{children}</ClientContext>;
}

export function useClient(): WorkspaceClient {
  const client = useContext(ClientContext);
  if (client === undefined) throw new Error('useClient needs a ClientProvider around it');
  return client;
}

/** How often everything is asked for again while events do not arrive. */
const pollInterval = 5_000;
/** A connection that is back within this time was never worth a word. */
const lossIsNewsAfter = 2_000;

/** Follows events for everything inside. Needs a session. */
export function LiveEvents({ children }: { children: ReactNode }) {
  const client = useClient();
  const cache = useQueryClient();
  const [connected, setConnected] = useState(true);

  useEffect(() => {
    let poll: ReturnType<typeof setInterval> | undefined;
    let news: ReturnType<typeof setTimeout> | undefined;
    const refresh = (): void => {
      // Among the reasons is that one is no longer logged in.
      for (const key of [keys.me, keys.host, keys.workspaces, keys.volumes, keys.quota]) void cache.invalidateQueries({ queryKey: key });
    };
    const lost = (): void => {
      clearTimeout(news);
      clearInterval(poll);
      news = setTimeout(() => setConnected(false), lossIsNewsAfter);
      poll = setInterval(refresh, pollInterval);
    };
    lost(); // until the first event proves otherwise
    const unsubscribe = client.subscribe({
      onEvent: (event) => applyEvent(cache, event),
      onConnection: (now) => {
        if (!now) {
          lost();
          return;
        }
        clearTimeout(news);
        clearInterval(poll);
        setConnected(true);
      },
    });
    return () => {
      clearTimeout(news);
      clearInterval(poll);
      unsubscribe();
    };
  }, [client, cache]);

  return <ConnectionContext value={connected}>{children}</ConnectionContext>;
}

/** Whether changes arrive by themselves; false only when that has failed for a while. */
export function useConnected(): boolean {
  return useContext(ConnectionContext);
}
