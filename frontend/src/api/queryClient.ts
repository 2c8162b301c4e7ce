// How answers are kept, and when they are asked for again.
import { QueryCache, QueryClient } from '@tanstack/react-query';
import { keys } from './cache';
import { ApiError } from './client';

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
