import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { createMemoryRouter, RouterProvider } from 'react-router';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { createCache } from '../src/api/queryClient';
import { Providers } from '../src/app';
import { ApiError } from '../src/api/client';
import { createDesktopClient } from '../src/api/desktop';
import { routes } from '../src/router';
import { bind, FakeBackend } from './fakeBackend';
import { amount, host, overview, quota, step, storage, workspace } from './samples';

const home = '/users/ada0/workspace';
let backend: FakeBackend;

beforeEach(() => {
  backend = new FakeBackend();
});

async function show(path = home) {
  const { app, runtime } = bind(backend);
  const client = createDesktopClient(app, runtime);
  vi.spyOn(client, 'open');
  const router = createMemoryRouter(routes, { initialEntries: [path] });
  render(
    <Providers client={client} cache={createCache()}>
      <RouterProvider router={router} />
    </Providers>,
  );
  await screen.findByRole('main');
  return { client, router, user: userEvent.setup() };
}

const row = (name: string): HTMLElement => screen.getByRole('listitem', { name });

describe('home', () => {
  test('leads from the root to the workspaces of who is logged in, whatever follows the route', async () => {
    const { router } = await show('/?project=x');
    expect(router.state.location.pathname).toBe(home);
    expect(await screen.findByRole('listitem', { name: 'thesis' })).toHaveTextContent('Running');
  });

  test('shows the newest first, so that one that was just made is in sight among many', async () => {
    const names = () => screen.getAllByRole('listitem').map((one) => one.getAttribute('aria-label'));
    backend.workspaces = [workspace({ id: 'a', display_name: 'a', created_at: '2026-11-12T09:00:00Z' }), workspace({ id: 'b', display_name: 'b', created_at: '2026-11-12T09:01:00Z' })];
    await show();
    await screen.findByRole('listitem', { name: 'b' });
    expect(names()).toEqual(['b', 'a']);
    act(() => backend.emit({ seq: 2, type: 'workspace', workspace: workspace({ id: 'c', display_name: 'c', created_at: '2026-11-12T09:02:00Z' }) }));
    expect(await screen.findByRole('listitem', { name: 'c' })).toBeInTheDocument();
    expect(names()).toEqual(['c', 'b', 'a']);
  });

  test('opens a running workspace first', async () => {
    const { user, client } = await show();
    await user.click(await screen.findByRole('button', { name: 'Open thesis' }));
    expect(client.open).toHaveBeenCalledWith('ws-thesis', undefined);
  });

  test('shows how far a start is, and calls it off', async () => {
    const steps = [step({ state: 'done' }), step({ title: 'Image', state: 'now', detail: '412 of 1,180 MB', current: 412, total: 1_180 })];
    backend.workspaces = [workspace({ status: 'pending', phase: 'image', actions: ['cancel', 'stop'], progress: { steps, cancellable: true } })];
    const { user } = await show();
    const starting = await screen.findByRole('listitem', { name: 'thesis' });
    expect(starting).toHaveTextContent('Image · 412 of 1,180 MB · step 2 of 2');
    expect(within(starting).getByRole('progressbar')).toHaveAttribute('aria-valuenow', '35');
    await user.click(within(starting).getByRole('button', { name: 'Cancel thesis' }));
    expect(backend.calls).toEqual(['stop ws-thesis']);
  });

  test('says why one failed, with its last lines and the action that helps', async () => {
    const steps = [step({ state: 'failed', log: ['loading', 'MemoryError'] })];
    backend.workspaces = [
      workspace({ status: 'failed', reason: 'Out of memory at 4 GB.', reason_code: 'oom', actions: ['start', 'update', 'delete'], progress: { steps, cancellable: false } }),
    ];
    const { user } = await show();
    const failed = await screen.findByRole('listitem', { name: 'thesis' });
    expect(failed).toHaveTextContent('Out of memory at 4 GB.');
    expect(failed).toHaveTextContent('MemoryError');
    expect(failed).not.toHaveTextContent('loading');
    await user.click(within(failed).getByRole('button', { name: 'Last 2 log lines' }));
    expect(failed).toHaveTextContent('loading');
    await user.click(within(failed).getByRole('button', { name: 'Start with 6 GB thesis' }));
    expect(backend.calls).toEqual(['start ws-thesis']);
  });

  test('sums up what is used and held, of the quota or else of the machine', async () => {
    backend.workspaces = [workspace(), workspace({ id: 'b', display_name: 'b', status: 'stopped', actions: ['start'] })];
    await show();
    await screen.findByRole('listitem', { name: 'b' });
    const total = (name: string) => screen.getByText(name, { selector: 'dt' }).parentElement;
    expect(total('Memory')).toHaveTextContent('1.2 of 32 GB');
    expect(total('Memory')).toHaveTextContent('Memory: 1.2 GB used, 4 GB held by limits, of the 32 GB of this machine.');
    expect(screen.queryByText('GPUs', { selector: 'dt' })).not.toBeInTheDocument();
    act(() => backend.emit({ seq: 2, type: 'use', use: [{ id: 'ws-thesis', cpus: 1.44, memory: 2_900 }] }));
    act(() => backend.emit({ seq: 3, type: 'quota', quota: quota({ memory: amount({ used: 1, reserved: 4_000, quota: 8_000, unit: 'MB' }), gpus: amount({ quota: 1 }), waiting: 1 }) }));
    await waitFor(() => expect(total('Memory')).toHaveTextContent('2.9 GB used, 4 GB held by limits, of your quota of 8 GB'));
    expect(total('GPUs')).toHaveTextContent('0 of 1');
    expect(total('Running')).toHaveTextContent('1 waits');
    expect(row('thesis')).toHaveTextContent('1.4 of 2');
    expect(row('thesis')).toHaveTextContent('2.9 of 4 GB');
    expect(screen.getByText('Running', { selector: 'dt' }).parentElement).toHaveTextContent('1 of 2');
  });

  test('says which place a queued one has and what would free one, and cancels it', async () => {
    const reason = 'Your quota is 8 GB of memory: 8 GB are taken, and this needs 4 GB. Stop big-etl to free 4 GB.';
    backend.workspaces = [workspace({ status: 'pending', phase: 'queued', position: 2, reason, actions: ['cancel', 'stop'] })];
    const { user } = await show();
    const queued = await screen.findByRole('listitem', { name: 'thesis' });
    expect(queued).toHaveTextContent(/Queued\s*position 2/);
    expect(queued).toHaveTextContent(reason);
    expect(within(queued).queryByRole('progressbar')).not.toBeInTheDocument();
    await user.click(within(queued).getByRole('button', { name: 'Cancel thesis' }));
    expect(backend.calls).toEqual(['stop ws-thesis']);
  });

  test('counts down to the end of an unused one, and extends it', async () => {
    const now = Date.now();
    const at = (minutes: number): string => new Date(now + minutes * 60_000).toISOString();
    backend.workspaces = [workspace({ idle_timeout: 3_600, idle: { in_use: false, since: at(-48), stops_at: at(12.5), reason: 'No kernel is busy.', kept_until: null } })];
    const { user } = await show();
    expect(await screen.findByRole('listitem', { name: 'thesis' })).toHaveTextContent(/stops in 12 min, unused since \d\d:\d\d/);
    await user.click(screen.getByRole('button', { name: 'Extend thesis' }));
    expect(backend.calls).toEqual(['extend ws-thesis 0']);
  });

  test('shows the disk of its limit and how old the number is; what was stopped says why', async () => {
    const full = storage({ volume_used: 4_500, volume_measured_at: new Date(Date.now() - 180_000).toISOString() });
    backend.workspaces = [
      workspace({ storage: full }),
      workspace({ id: 'b', display_name: 'b', status: 'stopped', reason_code: 'admin', reason: 'Stopped by the administrator eve: maintenance', actions: ['start'], storage: full }),
      workspace({ id: 'd', display_name: 'd', status: 'terminating', desired: 'deleted', reason_code: 'tried_again', reason: 'Its files could not be deleted: the disk does not answer.', actions: [] }),
      workspace({ id: 'e', display_name: 'e', status: 'terminating', desired: 'deleted', reason: 'Being deleted.', actions: [] }),
      workspace({ id: 'c', display_name: 'c', status: 'stopped', reason: 'It was stopped in ML Lab.', actions: ['start'] }),
    ];
    await show();
    expect(await screen.findByRole('listitem', { name: 'b' })).toHaveTextContent(/Stopped by the administrator eve: maintenance · \d/);
    expect(row('c')).toHaveTextContent(/It was stopped in ML Lab · \d/);
    expect(row('d')).toHaveTextContent('Its files could not be deleted: the disk does not answer.');
    expect(row('e')).not.toHaveTextContent('Being deleted.');
    expect(row('thesis')).toHaveTextContent('4.5 of 5 GB');
    expect(within(row('b')).getByTitle(/^Its files, measured 3 min ago. The limit is watched/)).toBeInTheDocument();
  });

  test('follows events and says them aloud', async () => {
    await show();
    await screen.findByRole('listitem', { name: 'thesis' });
    act(() => backend.emit({ seq: 2, type: 'workspace', workspace: workspace({ status: 'stopped', actions: ['start'] }) }));
    expect(await screen.findByText('thesis: Stopped.')).toBeInTheDocument();
    expect(row('thesis')).toHaveTextContent('Stopped');
  });

  test('is read-only while the engine is down, and says what to do', async () => {
    await show();
    await screen.findByRole('listitem', { name: 'thesis' });
    act(() => backend.emit({ seq: 2, type: 'host', host: host({ reachable: false, reason: 'Docker does not answer.', action: 'Start Docker.' }) }));
    expect(await screen.findByRole('alert')).toHaveTextContent('Docker does not answer. Start Docker.');
    expect(within(row('thesis')).queryByRole('button', { name: /Open/ })).not.toBeInTheDocument();
  });

  test('finds by name and state', async () => {
    backend.workspaces.push(workspace({ id: 'b', display_name: 'b', status: 'stopped', actions: ['start'] }));
    const { user } = await show();
    await screen.findByRole('listitem', { name: 'b' });
    await user.keyboard('/stopped');
    expect(screen.queryByRole('listitem', { name: 'thesis' })).not.toBeInTheDocument();
    await user.keyboard('{Escape}');
    expect(row('thesis')).toBeInTheDocument();
  });

  test('is worked with keys', async () => {
    backend.workspaces.push(workspace({ id: 'b', display_name: 'b' }));
    const { user, client, router } = await show();
    await screen.findByRole('listitem', { name: 'b' });
    await user.keyboard('jj');
    expect(row('thesis')).toHaveFocus();
    await user.keyboard('{Enter}');
    expect(client.open).toHaveBeenCalledWith('ws-thesis', undefined);
    await user.keyboard('ks');
    expect(backend.calls).toEqual(['stop b']);
    await user.keyboard('?');
    expect(await screen.findByRole('dialog', { name: 'Keyboard shortcuts' })).toBeInTheDocument();
    await user.keyboard('n'); // keys rest below a dialog
    await user.keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
    expect(router.state.location.pathname).toBe(home);
    await user.keyboard('n');
    await waitFor(() => expect(router.state.location.pathname).toBe(`${home}/new`));
  });

  test('reports what it shows', async () => {
    await show();
    await screen.findByRole('listitem', { name: 'thesis' });
    await waitFor(() => expect(backend.rendered.at(-1)).toEqual({ route: home, workspaces: [{ id: 'ws-thesis', name: 'thesis', state: 'Running' }] }));
  });

  test('without workspaces runs one with one click, and shows its checks', async () => {
    backend.workspaces = [];
    const { user, router } = await show();
    expect(await screen.findByRole('list', { name: 'Checks' })).toHaveTextContent('Docker answers 28.5.2');
    await user.click(await screen.findByRole('button', { name: 'Start JupyterLab' }));
    await waitFor(() => expect(router.state.location.pathname).toBe(`${home}/ws-jupyterlab/start`));
    expect(backend.workspaces.map((one) => one.display_name)).toEqual(['jupyterlab']);
  });
});

describe('deleting', () => {
  test('keeps files, and is undone', async () => {
    const { user } = await show();
    await user.click(await screen.findByRole('button', { name: 'More for thesis' }));
    await user.click(await screen.findByRole('menuitem', { name: 'Delete' }));
    expect(await screen.findByText('Deleted thesis. Its files are kept. What was not saved in it is gone.')).toBeInTheDocument();
    expect(backend.calls).toEqual(['delete ws-thesis']);
    await user.click(screen.getByRole('button', { name: 'Undo' }));
    await waitFor(() => expect(backend.workspaces.map((one) => one.display_name)).toEqual(['thesis']));
  });

  test('Ctrl+Z is about what is typed while somebody types, else about the message', async () => {
    const { user } = await show();
    (await screen.findByRole('listitem', { name: 'thesis' })).focus();
    await user.keyboard('s');
    await screen.findByText('Stopped thesis.');
    await user.keyboard('/abc{Control>}z{/Control}');
    expect(backend.calls).toEqual(['stop ws-thesis']);
    await user.click(document.body);
    await user.keyboard('{Control>}z{/Control}');
    await waitFor(() => expect(backend.calls).toEqual(['stop ws-thesis', 'start ws-thesis']));
  });

  test('with its files names the loss in numbers before', async () => {
    const { user } = await show();
    await user.click(await screen.findByRole('button', { name: 'More for thesis' }));
    await user.click(await screen.findByRole('menuitem', { name: 'Delete with its files …' }));
    const dialog = await screen.findByRole('dialog', { name: 'Delete thesis with its files?' });
    expect(await within(dialog).findByText('12 files, 3 kB')).toBeInTheDocument();
    expect(backend.calls).toEqual([]);
    await user.click(within(dialog).getByRole('button', { name: 'Delete 3 kB' }));
    await waitFor(() => expect(backend.calls).toEqual(['delete with files ws-thesis']));
  });
});

describe('creating', () => {
  test('has everything filled in, so that Enter creates', async () => {
    const { user, router } = await show(`${home}/new`);
    const name = await screen.findByRole('textbox', { name: 'Name' });
    expect(name).toHaveValue('jupyterlab');
    expect(name).toHaveFocus();
    expect(screen.getByRole('radio', { name: 'Medium · 1 CPU · 2 GB' })).toBeChecked();
    await user.keyboard('{Enter}');
    await waitFor(() => expect(router.state.location.pathname).toBe(`${home}/ws-jupyterlab/start`));
  });

  test('keeps what was typed when the server refuses it', async () => {
    const { user } = await show(`${home}/new`);
    const name = await screen.findByRole('textbox', { name: 'Name' });
    await user.clear(name);
    await user.type(name, 'thesis{Enter}');
    expect(await screen.findByText('You already have a workspace thesis.')).toBeInTheDocument();
    expect(name).toHaveValue('thesis');
    expect(name).toBeInvalid();
  });

  test('takes up a kept volume', async () => {
    await show(`${home}/new?volume=ws-old-vol`);
    expect(await screen.findByRole('textbox', { name: 'Name' })).toHaveValue('old');
    expect(screen.getByRole('combobox', { name: /Files/ })).toHaveTextContent('Files of old');
  });
});

describe('what cannot be sent', () => {
  test.each([
    ['of blanks', '   ', 'A name is needed.'],
    ['that is too long, which is not cut without a word', 'x'.repeat(140), 'The name has 140 characters; 128 are allowed.'],
    ['of too many emoji', '😀'.repeat(129), 'The name has 129 characters; 128 are allowed.'],
  ])('a name %s', async (_, typed, sentence) => {
    const { user, client } = await show(`${home}/new`);
    const create = vi.spyOn(client, 'create');
    const name = await screen.findByRole('textbox', { name: 'Name' });
    await user.clear(name);
    await user.click(name);
    await user.paste(typed);
    await user.type(name, '{Enter}');
    expect(await screen.findByText(sentence)).toBeInTheDocument();
    expect(name).toHaveValue(typed);
    expect(name).toBeInvalid();
    expect(create).not.toHaveBeenCalled();
  });
  test('an emoji is one character of a name', async () => {
    const { user, client } = await show(`${home}/new`);
    const create = vi.spyOn(client, 'create');
    const name = await screen.findByRole('textbox', { name: 'Name' });
    await user.clear(name);
    await user.click(name);
    await user.paste('😀'.repeat(128));
    await user.type(name, '{Enter}');
    await waitFor(() => expect(create).toHaveBeenCalledWith(expect.objectContaining({ display_name: '😀'.repeat(128) })));
  });
  test('a number without a maximum: too much and nothing are said as soon as they are typed, and stay', async () => {
    const { user, client } = await show(`${home}/new`);
    const create = vi.spyOn(client, 'create');
    await user.click(await screen.findByText(/^More:/));
    const processes = screen.getByRole('spinbutton', { name: 'Processes, at most' });
    for (const [typed, sentence] of [['0', 'At least 1.'], ['1e308', 'That is more than can be counted.']] as const) {
      await user.clear(processes);
      await user.type(processes, typed);
      expect(processes).toHaveAccessibleDescription(sentence);
      await user.tab();
      expect(processes).toHaveAccessibleDescription(sentence);
      await user.type(processes, '{Enter}');
    }
    expect(create).not.toHaveBeenCalled();
  });
  test.each([
    ['nothing', '', 'A number is needed here.'],
    ['too much', '9', 'At most 8 GB.'],
    ['less than nothing', '-1', 'Not below 0.'],
    ['zero, which would be taken for nothing said', '0', 'At least 1 MB.'],
    ['more than can be counted', '1e308', 'At most 8 GB.'],
  ])('a number: %s is said at its field in our own words', async (_, typed, sentence) => {
    const { user, client } = await show(`${home}/new`);
    const create = vi.spyOn(client, 'create');
    await user.click(await screen.findByRole('radio', { name: 'Own …' }));
    const memory = screen.getByRole('spinbutton', { name: 'Memory' });
    expect(memory.closest('form')).toHaveAttribute('novalidate'); // or a bubble would say it in the browser's language
    await user.clear(memory);
    await user.type(memory, `${typed}{Enter}`);
    expect(await screen.findByText(sentence)).toBeInTheDocument();
    expect(memory).toHaveAccessibleDescription(sentence);
    expect(memory).toBeInvalid();
    expect(memory).toHaveFocus();
    await user.clear(memory);
    await user.type(memory, '3');
    expect(screen.queryByText(sentence)).not.toBeInTheDocument();
    expect(create).not.toHaveBeenCalled();
  });

  test('what is folded away is unfolded', async () => {
    const { user } = await show(`${home}/new`);
    await user.click(await screen.findByText(/^More:/));
    const port = screen.getByRole('spinbutton', { name: 'Port' });
    await user.type(port, '70000');
    await user.click(screen.getByText(/^More:/));
    await user.type(screen.getByRole('textbox', { name: 'Name' }), '{Enter}');
    expect(await screen.findByText('A port is a whole number from 1 to 65535.')).toBeInTheDocument();
    expect(port).toHaveFocus();
    expect(port.closest('details')).toHaveAttribute('open');
  });

  test('names: of a workspace, and of its image', async () => {
    const { user } = await show(`${home}/new`);
    const name = await screen.findByRole('textbox', { name: 'Name' });
    await user.clear(name);
    await user.type(name, '{Enter}');
    expect(await screen.findByText('A name is needed.')).toBeInTheDocument();
    await user.type(name, 'x');
    expect(screen.queryByText('A name is needed.')).not.toBeInTheDocument();
    await user.click(screen.getByRole('radio', { name: /^Another image/ }));
    await user.click(screen.getByRole('button', { name: /^Create and/ }));
    expect(await screen.findByText('The name of an image is needed.')).toBeInTheDocument();
    expect(screen.getByRole('textbox', { name: 'Name of the image' })).toHaveFocus();
  });

  test('settings and the resizing of other people’s say it, too', async () => {
    backend.me = { id: 'ada0', name: 'ada0', admin: true };
    backend.workspaces = [workspace({ id: 'b' })]; // what is not saved waits for who comes back
    const { user, router } = await show(`${home}/b/settings`);
    const memory = await screen.findByRole('spinbutton', { name: 'Memory' });
    await user.type(screen.getByRole('textbox', { name: 'Name' }), '2');
    await user.clear(memory);
    await user.type(memory, '{Enter}');
    expect(await screen.findByText('A number is needed here.')).toBeInTheDocument();
    await act(() => router.navigate('/admin'));
    await user.click(await screen.findByRole('button', { name: 'Resize mining of bob' }));
    const cpus = await screen.findByRole('spinbutton', { name: 'CPUs' });
    await user.clear(cpus);
    await user.type(cpus, '3');
    await waitFor(() => expect(screen.getByRole('button', { name: 'Resize' })).toBeEnabled());
    await user.clear(cpus);
    await user.type(cpus, '{Enter}');
    expect(await screen.findByText('A number is needed here.')).toBeInTheDocument();
    expect(backend.calls.filter((call) => call.startsWith('admin resize'))).toEqual([]);
  });
});

describe('before it is asked for', () => {
  test('says that it fits and what is held afterwards', async () => {
    backend.quota = quota({ memory: amount({ reserved: 4_000, quota: 8_000, unit: 'MB' }) });
    await show(`${home}/new`);
    expect(await screen.findByText('Fits.')).toBeInTheDocument();
    expect(screen.getByText('Memory 6 of 8 GB')).toBeInTheDocument();
  });

  test('what waits is created without a tab, and its place is told before', async () => {
    backend.verdict = { verdict: 'waits', position: 3, short: 'over your quota by 2 GB of memory', reason: 'Stop big-etl to free 4 GB.' };
    const { user, router } = await show(`${home}/new`);
    expect(await screen.findByText('Waits, position 3.')).toBeInTheDocument();
    expect(screen.getByText(/Stop big-etl to free 4 GB/)).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: /^Create and wait/ }));
    await waitFor(() => expect(router.state.location.pathname).toBe(home));
  });

  test('what is refused cannot be asked for, and says by how much', async () => {
    backend.verdict = { verdict: 'refused', position: 0, short: 'over your quota by 2 GB of memory', reason: 'Your quota is 4 GB of memory in all.' };
    const { user } = await show(`${home}/new`);
    expect(await screen.findByText('Over your quota by 2 GB of memory.')).toBeInTheDocument();
    const button = screen.getByRole('button', { name: /^Create and open/ });
    expect(button).toBeDisabled();
    expect(button).toHaveAccessibleDescription(/Your quota is 4 GB of memory in all/);
    // Who asks for less need not wait for the next answer.
    backend.verdict = { verdict: 'fits', position: 0, short: '', reason: '' };
    await user.click(screen.getByRole('radio', { name: /^Small/ }));
    expect(button).toBeEnabled();
    expect(await screen.findByText('Fits.')).toBeInTheDocument();
  });

  test('says who holds each limit, and offers GPUs only where there are any', async () => {
    const { user } = await show(`${home}/new`);
    await user.click(await screen.findByText(/^More:/));
    expect(screen.getByRole('heading', { name: 'Shared memory enforced' })).toBeInTheDocument();
    expect(screen.getByRole('heading', { name: 'Container watched' })).toBeInTheDocument();
    expect(screen.queryByRole('heading', { name: /GPUs/ })).not.toBeInTheDocument();
  });

  test('any image is looked at, and a wrong guess is corrected', async () => {
    const { user, client } = await show(`${home}/new`);
    const create = vi.spyOn(client, 'create');
    await user.click(await screen.findByRole('radio', { name: /^Another image/ }));
    await user.type(screen.getByRole('textbox', { name: 'Name of the image' }), 'quay.io/a/b:1');
    expect(await screen.findByText(/It exposes port 8888/)).toHaveTextContent('→ Jupyter docker-stacks');
    expect(screen.getByText('Its files are in /home/jovyan/work.')).toBeInTheDocument();
    await user.click(screen.getByRole('combobox', { name: 'Kind of image' }));
    await user.click(await screen.findByRole('option', { name: /^Any web server/ }));
    await user.type(screen.getByRole('spinbutton', { name: 'Port' }), '9000');
    await user.click(screen.getByRole('button', { name: /^Create and/ }));
    await waitFor(() => expect(create).toHaveBeenCalledWith(expect.objectContaining({ container_image: 'quay.io/a/b:1', profile: 'custom', port: 9_000 })));
  });

  test('a change of one that runs is asked about, too', async () => {
    backend.verdict = { verdict: 'refused', position: 0, short: 'over your quota by 2 GB of memory', reason: 'Your quota is 4 GB.' };
    const { user } = await show(`${home}/ws-thesis/settings`);
    const memory = await screen.findByRole('spinbutton', { name: 'Memory' });
    await user.clear(memory);
    await user.type(memory, '6');
    expect(await screen.findByText('Over your quota by 2 GB of memory.')).toBeInTheDocument();
    await waitFor(() => expect(screen.getByRole('button', { name: 'Save' })).toBeDisabled());
    await user.click(screen.getByRole('button', { name: 'Discard' })); // what is not saved waits for who comes back
    expect(memory).toHaveValue(4);
  });
});

describe('administration', () => {
  test('is offered to administrators only', async () => {
    await show();
    await screen.findByRole('listitem', { name: 'thesis' });
    expect(screen.queryByRole('link', { name: 'Admin' })).not.toBeInTheDocument();
  });

  test('refuses everybody else', async () => {
    const { user, router } = await show('/admin');
    expect(await screen.findByRole('alert')).toHaveTextContent('Only an administrator may do this.');
    await user.click(screen.getByRole('button', { name: 'Show mine' }));
    expect(router.state.location.pathname).toBe(home);
  });

  test('shows who has what, and stops with a reason', async () => {
    backend.me = { id: 'ada0', name: 'ada0', admin: true };
    const { user } = await show();
    await user.click(await screen.findByRole('link', { name: 'Admin' }));
    const users = await screen.findByRole('table', { name: 'Users' });
    expect(within(users).getByRole('row', { name: /^bob students/ })).toHaveTextContent('4 of 8 GB');
    expect(screen.getByText('Memory', { selector: 'dt' }).parentElement).toHaveTextContent('4 GB held by limits, of the 16 GB of this machine.');
    expect(screen.queryByRole('heading', { name: 'GPUs' })).not.toBeInTheDocument();
    expect(await screen.findByText(/stopped mining of bob/)).toBeInTheDocument();

    await user.click(screen.getByRole('button', { name: 'Stop mining of bob' }));
    const reason = screen.getByRole('textbox', { name: 'Reason for bob' });
    expect(reason).toHaveFocus();
    await user.type(reason, 'maintenance{Enter}');
    await waitFor(() => expect(backend.calls).toEqual(['admin stop ws-bob: maintenance']));
    await waitFor(() => expect(reason).not.toBeInTheDocument());
  });

  test('resizes what is asked about before', async () => {
    backend.me = { id: 'ada0', name: 'ada0', admin: true };
    backend.overview = overview({ workspaces: [workspace({ display_name: 'mining', owner: 'bob' })] });
    backend.verdict = { verdict: 'refused', position: 0, short: 'over your quota by 2 GB of memory', reason: '' };
    const { user } = await show('/admin');
    await user.click(await screen.findByRole('button', { name: 'Resize mining of bob' }));
    const dialog = await screen.findByRole('dialog', { name: 'Resize mining of bob' });
    const memory = within(dialog).getByRole('spinbutton', { name: 'Memory' });
    await user.clear(memory);
    await user.type(memory, '6');
    expect(await within(dialog).findByText('Over your quota by 2 GB of memory.')).toBeInTheDocument();
    expect(within(dialog).getByRole('button', { name: 'Resize' })).toBeDisabled();
    backend.verdict = { verdict: 'fits', position: 0, short: '', reason: '' };
    await user.clear(memory);
    await user.type(memory, '3');
    expect(await within(dialog).findByText('Fits.')).toBeInTheDocument();
    await user.click(within(dialog).getByRole('button', { name: 'Resize' }));
    await waitFor(() => expect(backend.calls).toContain('admin resize ws-thesis {"compute":{"memory":3000}}'));
  });

  test('lists what somebody has set first, and finds the rest', async () => {
    backend.me = { id: 'ada0', name: 'ada0', admin: true };
    const { user } = await show('/admin');
    const table = await screen.findByRole('table', { name: 'Configuration in force' });
    expect(table).toHaveTextContent('quota.user.running 3config.toml:4');
    expect(table).not.toHaveTextContent('limits.cpus.max');
    await user.type(screen.getByRole('searchbox', { name: 'Filter settings' }), 'cpus');
    expect(table).toHaveTextContent('limits.cpus.max 4default');
  });

  test('a mistake in the configuration stays in sight; what changed can be put away', async () => {
    backend.me = { id: 'ada0', name: 'ada0', admin: true };
    const loaded_at = new Date().toISOString();
    const changes = [{ key: 'quota.user.running', before: '3', after: '6', live: true }, { key: 'server.listen', before: 'a', after: 'b', live: false }];
    backend.host = host({ config: { file: 'config.toml', problem: 'limits.cpus.max is "four".', loaded_at, changes } });
    const { user } = await show();
    expect(await screen.findByRole('alert')).toHaveTextContent('The configuration file has a mistake; the earlier one stays in force: limits.cpus.max is "four".');
    const calm = screen.getByText('2 settings changed:').closest('[role=status]');
    expect(calm).toHaveTextContent('quota.user.running 3 → 6; server.listen a → b (after the next start).');
    await user.click(screen.getByRole('button', { name: 'Dismiss' }));
    expect(calm).not.toBeInTheDocument();
    expect(screen.getByRole('alert')).toBeInTheDocument();
  });
});

describe('one workspace', () => {
  test('sends only what was changed, and says when it acts', async () => {
    const { user, client } = await show(`${home}/ws-thesis/settings`);
    const update = vi.spyOn(client, 'update');
    const name = await screen.findByRole('textbox', { name: 'Name' });
    expect(screen.getByRole('button', { name: 'Save' })).toBeDisabled();
    await user.clear(name);
    await user.type(name, 'book');
    await user.click(screen.getByRole('button', { name: 'Save' }));
    expect(await screen.findByText('Saved.')).toBeInTheDocument();
    expect(update).toHaveBeenCalledExactlyOnceWith('ws-thesis', { display_name: 'book' });
    await user.type(screen.getByRole('combobox', { name: 'Image' }), 'x');
    expect(screen.getByRole('button', { name: 'Save and restart' })).toBeEnabled();
  });

  test('above its limits it can be renamed all the same', async () => {
    backend.workspaces = [workspace({ id: 'above', above_limits: ['compute.cpus'], compute: { cpus: 8, memory: 16_000, shm: 8_000, processes: 4_096, gpus: 0 } })];
    const { user, client } = await show(`${home}/above/settings`);
    const update = vi.spyOn(client, 'update');
    await user.type(await screen.findByRole('textbox', { name: 'Name' }), '2');
    await user.click(screen.getByRole('button', { name: 'Save' }));
    await waitFor(() => expect(update).toHaveBeenCalledExactlyOnceWith('above', { display_name: 'thesis2' }));
  });

  test('says so when there is none', async () => {
    await show(`${home}/gone`);
    expect(await screen.findByRole('alert')).toHaveTextContent('There is no such workspace.');
  });

  test('of somebody else is not shown under their name', async () => {
    await show('/users/bob/workspace');
    expect(await screen.findByRole('alert')).toHaveTextContent('These are the workspaces of bob.');
  });
});

test('without a session asks for the token, and goes on with it', async () => {
  const { app, runtime } = bind(backend);
  const client = createDesktopClient(app, runtime);
  const me = client.me;
  let loggedIn = false;
  client.me = () => (loggedIn ? me() : Promise.reject(new ApiError(401, 'unauthenticated', 'You are not logged in.')));
  client.login = (token) => {
    loggedIn = token === 'secret';
    return loggedIn ? Promise.resolve() : Promise.reject(new ApiError(401, 'unauthenticated', 'That is not the token.'));
  };
  const user = userEvent.setup();
  render(
    <Providers client={client} cache={createCache()}>
      <RouterProvider router={createMemoryRouter(routes, { initialEntries: [home] })} />
    </Providers>,
  );
  expect(await screen.findByText(/token show/)).toBeInTheDocument();
  await user.type(screen.getByLabelText('Token'), 'guess{Enter}');
  expect(await screen.findByText('That is not the token.')).toBeInTheDocument();
  await user.clear(screen.getByLabelText('Token'));
  await user.type(screen.getByLabelText('Token'), 'secret{Enter}');
  expect(await screen.findByRole('listitem', { name: 'thesis' })).toBeInTheDocument();
});
