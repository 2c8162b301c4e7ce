import CssBaseline from '@mui/material/CssBaseline';
import { ThemeProvider } from '@mui/material/styles';
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { keys } from './api/cache';
import { ApiError, type WorkspaceClient } from './api/client';
import { ClientProvider } from './api/context';
import { theme } from './theme';

export function createCache(): QueryClient {
  const cache = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        // A session can end at any call; who am I then answers with 401 too, and the login is shown.
        if (error instanceof ApiError && error.status === 401 && query.queryKey[0] !== keys.me[0]) {
          void cache.invalidateQueries({ queryKey: keys.me });
        }
      },
    }),
    defaultOptions: {
      queries: {
        // Nobody who has answered "no" says "yes" a moment later; who has not answered may.
        retry: (failures, error) => failures < 2 && error instanceof ApiError && error.code === 'unreachable',
        refetchOnWindowFocus: false,
      },
    },
  });
  return cache;
}

/** Everything the pages need around them. */
export function Providers({ client, cache, children }: { client: WorkspaceClient; cache: QueryClient; children: ReactNode }) {
  return (
    <ThemeProvider theme={theme} defaultMode="system" noSsr>
      <CssBaseline />
      <QueryClientProvider client={cache}>
        <ClientProvider client={client}>{children}</ClientProvider>
      </QueryClientProvider>
    </ThemeProvider>
  );
}
