// The pages inside an ML Lab: what they leave out, what they say instead, and for whom they act.
import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { createMemoryRouter, RouterProvider } from 'react-router';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Providers } from '../src/app';
import { ApiError } from '../src/api/client';
import { createDesktopClient } from '../src/api/desktop';
import { createCache } from '../src/api/queryClient';
import { routes } from '../src/router';
import { bind, FakeBackend } from './fakeBackend';
import { amount, lab, limit, quota, step, storage, volume, workspace } from './samples';

const home = '/users/ada0/workspace';
let backend: FakeBackend;

beforeEach(() => {
  backend = new FakeBackend();
  backend.me = { id: 'ada0', name: 'ada', admin: false };
  backend.host = lab();
  backend.volumes = [];
  backend.quota = quota({
    cpus: amount({ reserved: 2, unit: 'CPUs' }), memory: amount({ reserved: 4_000, unit: 'MB' }), storage: amount({ reserved: 5_000, unit: 'MB' }),
  });
  backend.workspaces = [workspace({ storage: storage({ volume_acts: 'engine', container_acts: 'engine' }) })];
});

/** A client as the browser's is: it acts for whom one may. */
function clientOf(of: FakeBackend, people: Record<string, FakeBackend> = {}) {
  const { app, runtime } = bind(of);
  const client = createDesktopClient(app, runtime);
  vi.spyOn(client, 'open');
  client.person = (id) => {
    const person = people[id];
    if (person === undefined) return Promise.reject(new ApiError(403, 'forbidden', 'The token subject does not have the required permission.'));
    return Promise.resolve({ id, name: id.slice(0, 3) });
  };
  client.actingFor = (id) => {
    const acting = clientOf(people[id] ?? of);
    return { ...acting, me: client.me };
  };
  return client;
}

async function show(path = home, people: Record<string, FakeBackend> = {}) {
  const client = clientOf(backend, people);
  const router = createMemoryRouter(routes, { initialEntries: [path] });
  render(
    <Providers client={client} cache={createCache()}>
      <RouterProvider router={router} />
    </Providers>,
  );
  await screen.findByRole('main');
  return { client, router, user: userEvent.setup() };
}

describe('what a lab cannot do', () => {
  test('is not shown in the list: limits alone, and the lab’s name in place of a machine', async () => {
    await show();
    const row = await screen.findByRole('listitem', { name: 'thesis' });
    expect(row).toHaveTextContent('2 CPUs');
    expect(row).toHaveTextContent('4 GB');
    expect(row.querySelectorAll('svg[aria-hidden] rect')).toHaveLength(0);
    expect(screen.getByText('ML Lab 0.0.23')).toBeInTheDocument();
    expect(document.body).not.toHaveTextContent(/Docker|0 CPUs|0 MB/);
    expect(screen.getByText('Memory', { selector: 'dt' }).parentElement).toHaveTextContent('4 GB held by limits');
  });

  test('is not offered in menus', async () => {
    const { user } = await show();
    await user.click(await screen.findByRole('button', { name: 'More for thesis' }));
    expect(screen.getByRole('menuitem', { name: 'Delete' })).toBeInTheDocument();
    expect(screen.queryByRole('menuitem', { name: 'Rename' })).not.toBeInTheDocument();
  });

  test('to measure: deleting with files says what happens in place of a number', async () => {
    backend.workspaces = [workspace({ status: 'stopped', desired: 'stopped', actions: ['start', 'delete'] })];
    const { user, client } = await show();
    const usage = vi.spyOn(client, 'usage');
    await user.click(await screen.findByRole('button', { name: 'More for thesis' }));
    await user.click(screen.getByRole('menuitem', { name: 'Delete with its files …' }));
    const dialog = await screen.findByRole('dialog');
    expect(dialog).toHaveTextContent('ML Lab does not tell how many there are.');
    expect(dialog).toHaveTextContent('it is started once more for that');
    await user.click(within(dialog).getByRole('button', { name: 'Delete with its files' }));
    await waitFor(() => expect(backend.calls).toEqual(['delete with files ws-thesis']));
    expect(usage).not.toHaveBeenCalled();
  });

  test('is no field of a new workspace', async () => {
    await show(`${home}/new`);
    await screen.findByRole('textbox', { name: 'Name' });
    expect(screen.getByRole('combobox', { name: /^Files/ })).toBeInTheDocument();
    expect(screen.queryByText('Shared memory')).not.toBeInTheDocument();
    expect(screen.queryByText('Processes')).not.toBeInTheDocument();
    expect(screen.getByText(/^More:/)).toHaveTextContent('More: disk, idle time, port');
    expect(screen.getAllByText('by ML Lab').length).toBeGreaterThan(0);
  });

  test('is not asked of kept files: their deletion says what happens in place of a number', async () => {
    backend.volumes = [volume()];
    const { user, client } = await show('/users/ada0/volumes');
    const usage = vi.spyOn(client, 'volumeUsage');
    await user.click(await screen.findByRole('button', { name: /^Delete the files of/ }));
    expect(screen.queryByRole('button', { name: 'Measure' })).not.toBeInTheDocument();
    const dialog = await screen.findByRole('dialog');
    expect(dialog).toHaveTextContent('ML Lab does not tell how many there are.');
    expect(dialog).toHaveTextContent('one is started for that');
    await user.click(within(dialog).getByRole('button', { name: 'Delete with its files' }));
    await waitFor(() => expect(backend.calls).toEqual(['delete volume ws-old-vol']));
    expect(usage).not.toHaveBeenCalled();
  });

  test('is left out of one workspace, too', async () => {
    await show(`${home}/ws-thesis`);
    expect(await screen.findByRole('heading', { name: 'Limits' })).toBeInTheDocument();
    expect(screen.queryByRole('heading', { name: 'Uses now' })).not.toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Measure' })).not.toBeInTheDocument();
    expect(screen.queryByText('Shared memory')).not.toBeInTheDocument();
    expect(screen.getByText('Owner').parentElement).toHaveTextContent('ada');
  });

  test('and the first run promises nothing of this machine', async () => {
    backend.workspaces = [];
    await show();
    const checks = await screen.findByRole('list', { name: 'Checks' });
    expect(checks).toHaveTextContent('ML Lab answers 0.0.23');
    expect(checks).not.toHaveTextContent('Machine');
    expect(screen.queryByText(/this machine/)).not.toBeInTheDocument();
  });
});

describe('a change in a lab', () => {
  test('of one that runs restarts it, which takes more than the Enter that ends typing', async () => {
    const { user, client } = await show(`${home}/ws-thesis/settings`);
    const update = vi.spyOn(client, 'update');
    const memory = await screen.findByRole('spinbutton', { name: 'Memory' });
    expect(screen.queryByRole('textbox', { name: 'Name' })).not.toBeInTheDocument();
    expect(screen.getAllByText('restarts it').length).toBeGreaterThan(2);
    await user.clear(memory);
    await user.type(memory, '2{Enter}');
    const save = screen.getByRole('button', { name: 'Save and restart' });
    expect(save).toHaveFocus();
    expect(update).not.toHaveBeenCalled();
    expect(screen.getByText('This restarts the workspace at once. Unsaved work in it is lost; files stay.')).toBeInTheDocument();
    await user.keyboard('{Enter}');
    await waitFor(() => expect(update).toHaveBeenCalledExactlyOnceWith('ws-thesis', { compute: { memory: 2_000 } }));
  });

  test('of one that does not run restarts nothing', async () => {
    backend.workspaces = [workspace({ id: 'still', status: 'stopped', desired: 'stopped', actions: ['start', 'update', 'delete'] })];
    const { user } = await show(`${home}/still/settings`);
    const memory = await screen.findByRole('spinbutton', { name: 'Memory' });
    await user.clear(memory);
    await user.type(memory, '2');
    expect(screen.getByRole('button', { name: 'Save' })).toBeEnabled();
    await user.click(screen.getByRole('button', { name: 'Discard' }));
  });

  test('of the idle timeout says who watches over it, and warns of a short one', async () => {
    const { user } = await show(`${home}/ws-thesis/settings`);
    const minutes = await screen.findByRole('spinbutton', { name: /minutes without use/ });
    expect(screen.queryByText(/ML Lab stops it/)).not.toBeInTheDocument();
    await user.clear(minutes);
    await user.type(minutes, '60');
    expect(screen.getByText(/ML Lab stops it/)).not.toHaveTextContent('Below 20 minutes');
    await user.clear(minutes);
    await user.type(minutes, '10');
    expect(screen.getByText(/ML Lab stops it/)).toHaveTextContent('Below 20 minutes it can be stopped while somebody works in it.');
    await user.click(screen.getByRole('button', { name: 'Discard' }));
  });

  test('and a start that waits for an image shows as its progress', async () => {
    const detail = 'ML Lab starts it; an image that it does not have yet takes minutes';
    const steps = [step({ state: 'done', title: 'Settings and volume' }), step({ title: 'Start', state: 'now', detail })];
    backend.workspaces = [workspace({ status: 'pending', phase: 'start', actions: ['cancel', 'stop'], progress: { steps, cancellable: true } })];
    await show();
    expect(await screen.findByRole('listitem', { name: 'thesis' })).toHaveTextContent(`Start · ${detail} · step 2 of 2`);
  });
});

describe('opening in a lab', () => {
  test('asks for no names of its own: the lab serves workspaces', async () => {
    const { user, client } = await show();
    const asked = vi.spyOn(window, 'fetch');
    await user.click(await screen.findByRole('button', { name: 'Open thesis' }));
    await waitFor(() => expect(client.open).toHaveBeenCalledWith('ws-thesis', undefined));
    expect(asked).not.toHaveBeenCalled();
  });
});

describe('who comes', () => {
  test('without being logged in is sent to the lab, and asked for no token', async () => {
    const client = clientOf(backend);
    const me = client.me;
    client.me = () => Promise.reject(new ApiError(401, 'unauthenticated', 'No API token was provided.', 'Log in to ML Lab, then load this page again.'));
    render(
      <Providers client={client} cache={createCache()}>
        <RouterProvider router={createMemoryRouter(routes, { initialEntries: [home] })} />
      </Providers>,
    );
    expect(await screen.findByRole('heading', { name: 'You are not logged in to ML Lab' })).toBeInTheDocument();
    expect(screen.getByText('Log in to ML Lab, then load this page again.')).toBeInTheDocument();
    expect(screen.queryByLabelText('Token')).not.toBeInTheDocument();
    client.me = me;
  });

  test('to somebody else’s page is told why it is not shown', async () => {
    const { user, router } = await show('/users/bob0/workspace');
    expect(await screen.findByRole('alert')).toHaveTextContent(/These are the workspaces of somebody else\. ?You are logged in as ada, /);
    await user.click(screen.getByRole('button', { name: 'Show mine' }));
    expect(router.state.location.pathname).toBe(home);
    expect(await screen.findByRole('listitem', { name: 'thesis' })).toBeInTheDocument();
  });

  test('and administers the lab is told of ids that nobody has', async () => {
    backend.me = { id: 'ada0', name: 'ada', admin: true };
    const client = clientOf(backend);
    client.person = () => Promise.reject(new ApiError(404, 'not_found', 'The user could not be found.'));
    render(
      <Providers client={client} cache={createCache()}>
        <RouterProvider router={createMemoryRouter(routes, { initialEntries: ['/users/nobody0/workspace'] })} />
      </Providers>,
    );
    expect(await screen.findByRole('alert')).toHaveTextContent('The user could not be found.');
  });

  test('and administers the lab acts for whom the address says, and hears of their things', async () => {
    backend.me = { id: 'ada0', name: 'ada', admin: true };
    const bobs = new FakeBackend();
    bobs.host = lab();
    bobs.workspaces = [workspace({ id: 'ws-mining', owner: 'bob0', display_name: 'mining' })];
    const { user } = await show('/users/bob0/workspace', { bob0: bobs });
    const row = await screen.findByRole('listitem', { name: 'mining' });
    expect(screen.getByText(/^Workspaces of/)).toHaveTextContent('Workspaces of bob · Show mine');
    expect(screen.queryByRole('listitem', { name: 'thesis' })).not.toBeInTheDocument();
    await user.click(within(row).getByRole('button', { name: 'More for mining' }));
    await user.click(screen.getByRole('menuitem', { name: 'Stop' }));
    await waitFor(() => expect(bobs.calls).toEqual(['stop ws-mining']));
    expect(backend.calls).toEqual([]);
    act(() => bobs.emit({ seq: 2, type: 'workspace', workspace: workspace({ id: 'ws-mining', owner: 'bob0', display_name: 'mining', status: 'stopped', actions: ['start'] }) }));
    await waitFor(() => expect(row).toHaveTextContent('Stopped'));
    await user.click(screen.getByRole('link', { name: 'Show mine' }));
    expect(await screen.findByRole('listitem', { name: 'thesis' })).toBeInTheDocument();
    expect(screen.queryByText(/^Workspaces of/)).not.toBeInTheDocument();
  });
});

test('a lab that goes away is said to in words, and so is that it is back', async () => {
  await show();
  await screen.findByRole('listitem', { name: 'thesis' });
  act(() => backend.emit({ seq: 2, type: 'host', host: lab({ reachable: false, reason: 'ML Lab does not answer at http://ml-lab-backend:8080/api.', action: 'Workspaces go on.' }) }));
  expect(await screen.findByRole('alert')).toHaveTextContent('ML Lab does not answer');
  act(() => backend.emit({ seq: 3, type: 'host', host: lab() }));
  expect(await screen.findByText('ML Lab is back. What you see is up to date again.')).toBeInTheDocument();
  expect(screen.queryByRole('alert')).not.toBeInTheDocument();
});

test('a lab’s own choices of an idle timeout are kept', async () => {
  const host = lab();
  backend.host = { ...host, limits: { ...host.limits, idle_timeout: limit({ default: 0, max: 0, choices: [0, 600, 3_600], unit: 's', acts: 'engine', applies: 'restart' }) } };
  const { user } = await show(`${home}/new`);
  await user.click(await screen.findByText(/^More:/));
  await user.click(screen.getByRole('radio', { name: 'Stop after 10 min' }));
  expect(screen.getByText(/Below 20 minutes/)).toBeInTheDocument();
});

