import { QueryClientProvider, useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { useNavigate, useParams } from 'react-router';
import { createCache } from '../api/queryClient';
import { queries } from '../api/cache';
import { errorOf } from '../api/client';
import { ClientProvider, LiveEvents, useClient } from '../api/context';
import type { Person, User } from '../api/types';
import { NoticeProvider } from '../features/actions/notices';
import { LoginPage } from '../features/login/LoginPage';
import { pathTo } from '../paths';
import { Shell } from './Shell';
import { Trouble } from './Trouble';
import { WhoseContext } from './user';

/** How often somebody who does not answer is asked again, in ms. */
const askAgain = 5_000;

/** Shows the pages to who is logged in, and the way in to everybody else. */
export function Session() {
  return <LoggedIn>{(me) => <Addressed me={me} />}</LoggedIn>;
}

function LoggedIn({ children }: { children: (me: User) => ReactNode }) {
  const client = useClient();
  const me = useQuery({
    ...queries.me(client),
    refetchInterval: ({ state }) => (state.data === undefined && state.status === 'error' && errorOf(state.error).status !== 401 ? askAgain : false),
    // Who has logged in to the lab in another tab comes back to this one.
    refetchOnWindowFocus: ({ state }) => (state.status === 'error' ? 'always' : false),
  });
  if (me.isError && errorOf(me.error).status === 401) return <LoginPage reason={errorOf(me.error)} onAgain={() => void me.refetch()} />;
  if (me.data === undefined) return me.isError ? <Trouble error={errorOf(me.error)} onRetry={() => void me.refetch()} /> : null;
  return children(me.data);
}

/** The pages of whom the address says. Somebody else's are for administrators of a lab, if the lab says so. */
function Addressed({ me }: { me: User }) {
  const client = useClient();
  const { userId } = useParams();
  const other = userId === undefined || userId === me.id ? undefined : userId;
  const host = useQuery({ ...queries.host(client), enabled: other !== undefined && me.admin });
  const asks = other !== undefined && me.admin && host.data?.in_lab === true;
  const person = useQuery({ ...queries.person(client, other ?? ''), enabled: asks, retry: false });
  if (other === undefined) return <Pages me={me} owner={me} />;
  if (person.data !== undefined) return <Acting key={other} me={me} owner={person.data} />;
  const failed = [host, person].find((query) => query.isError);
  if (failed === undefined && me.admin && (asks || host.data === undefined)) return null;
  const error = failed === undefined ? undefined : errorOf(failed.error);
  const instead =
    error === undefined || error.code === 'forbidden' ? <NotYours me={me} other={other} /> : <Trouble error={error} onRetry={() => void failed?.refetch()} />;
  return <Pages me={me} owner={me} instead={instead} />;
}

/** Somebody else's pages know nothing of one's own: they have a cache of their own, and a client that acts for them. */
function Acting({ me, owner }: { me: User; owner: Person }) {
  const client = useClient();
  const [acting] = useState(() => ({ client: client.actingFor(owner.id), cache: createCache() }));
  return (
    <QueryClientProvider client={acting.cache}>
      <ClientProvider client={acting.client}>
        <LoggedIn>{() => <Pages me={me} owner={owner} />}</LoggedIn>
      </ClientProvider>
    </QueryClientProvider>
  );
}

function Pages({ me, owner, instead }: { me: User; owner: Person; instead?: ReactNode }) {
  return (
    <WhoseContext value={{ me, owner }}>
      <NoticeProvider>
        <LiveEvents>
          <Shell instead={instead} />
        </LiveEvents>
      </NoticeProvider>
    </WhoseContext>
  );
}

function NotYours({ me, other }: { me: User; other: string }) {
  const navigate = useNavigate();
  // Where people have names, ids say nothing to them.
  const named = me.name !== me.id;
  return (
    <Trouble
      error={
        named
          ? { detail: 'These are the workspaces of somebody else.', hint: `You are logged in as ${me.name}, and only who administers ML Lab sees those of others.` }
          : { detail: `These are the workspaces of ${other}.`, hint: `You are ${me.id}.` }
      }
      label="Show mine"
      onRetry={() => void navigate(pathTo.home(me.id))}
    />
  );
}
