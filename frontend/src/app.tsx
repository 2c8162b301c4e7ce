import CssBaseline from '@mui/material/CssBaseline';
import { ThemeProvider } from '@mui/material/styles';
import { QueryClientProvider, type QueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { WorkspaceClient } from './api/client';
import { ClientProvider } from './api/context';
import { theme } from './theme';

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
