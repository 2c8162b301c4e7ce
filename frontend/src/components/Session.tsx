import { useQuery } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { errorOf } from '../api/client';
import { LiveEvents, useClient } from '../api/context';
import { NoticeProvider } from '../features/actions/notices';
import { LoginPage } from '../features/login/LoginPage';
import { Shell } from './Shell';
import { Trouble } from './Trouble';
import { UserContext } from './user';

/** Shows the pages to who is logged in, and the way in to everybody else. */
export function Session() {
  const client = useClient();
  const me = useQuery(queries.me(client));
  if (me.isError && errorOf(me.error).status === 401) return <LoginPage />;
  if (me.data === undefined) {
    return me.isError ? <Trouble error={errorOf(me.error)} onRetry={() => void me.refetch()} /> : null;
  }
  return (
    <UserContext value={me.data.id}>
      <NoticeProvider>
        <LiveEvents>
          <Shell />
        </LiveEvents>
      </NoticeProvider>
    </UserContext>
  );
}
