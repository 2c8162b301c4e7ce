import '@fontsource-variable/inter/index.css';
import '@fontsource/jetbrains-mono/latin-400.css';
import '@fontsource/jetbrains-mono/latin-ext-400.css';
import { CacheProvider } from '@emotion/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router/dom';
import { createClient } from './api/context';
import { createCache } from './api/queryClient';
import { Providers } from './app';
import './global.css';
import { createRouter } from './router';
import { createStyleCache } from './styleCache';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <CacheProvider value={createStyleCache()}>
      <Providers client={createClient()} cache={createCache()}>
        <RouterProvider router={createRouter()} />
      </Providers>
    </CacheProvider>
  </StrictMode>,
);
