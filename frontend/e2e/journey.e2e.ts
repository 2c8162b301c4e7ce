// The ways people go, from the printed link to a computed cell and to the end of a workspace.
import { execFileSync } from 'node:child_process';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { launch, Visitor } from './browser';
import { runCell } from './jupyter';
import { Program, until } from './program';

let program: Program;
let browser: Browser;

beforeAll(async () => {
  // What listens where nobody asks starts for a long time.
  program = await Program.start('[[profile]]\nname = "deaf"\ntitle = "Nothing"\nport = 9\nmount_path = "/workspace"\nanswer_deadline = "10m"\n');
  browser = await launch();
});
afterEach(async () => {
  await program.clear();
});
afterAll(async () => {
  await browser.close();
  await program.end();
});

/** A visitor who is logged in. */
async function visit(options = {}): Promise<Visitor> {
  const visitor = await Visitor.come(browser, `${program.page}?ct_token=${program.token}`, options);
  expect(visitor.page.url()).not.toContain(program.token);
  return visitor;
}

describe('the first run', () => {
  test('the printed link logs in once, one click runs JupyterLab, and a cell computes', async () => {
    const visitor = await Visitor.come(browser, program.link);
    const { page } = visitor;
    await page.getByRole('heading', { name: 'Your first workspace' }).waitFor();
    await visitor.picture('first-run');
    const lab = await visitor.opens(() => page.getByRole('button', { name: 'Start JupyterLab' }).click());
    await page.getByRole('list', { name: 'Steps' }).waitFor();
    await visitor.picture('start');

    await lab.waitForURL(/\.localhost:\d+\/projects\//);
    await lab.bringToFront();
    await runCell(lab, 'print(6 * 7)', '42');
    await lab.screenshot({ path: 'test-results/jupyterlab.png' });

    // A terminal is another WebSocket, and shows who one is in there.
    const who = await lab.evaluate(async () => {
      const base = location.pathname.replace(/(\/access\/\w+).*/, '$1');
      const xsrf = /_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? '';
      const made = await fetch(`${base}/api/terminals`, { method: 'POST', headers: { 'X-XSRFToken': xsrf } });
      const { name } = (await made.json()) as { name: string };
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}${base}/terminals/websocket/${name}`);
      return new Promise<string>((resolve) => {
        let text = '';
        socket.onmessage = (message) => {
          text += String(message.data);
          const found = /user-is-(\w+)-end/.exec(text);
          if (found) resolve(found[1] ?? '');
        };
        socket.onopen = () => socket.send(JSON.stringify(['stdin', 'echo user-is-$(whoami)-end\r']));
      });
    });
    expect(who).toBe('lab');

    // A workspace is not to be trusted: it has an origin of its own, no way back to the page, and cannot call the API.
    expect(await lab.evaluate(() => window.opener as unknown)).toBeNull();
    const stolen = await lab.evaluate(
      (address) => fetch(address, { credentials: 'include' }).then((answer) => answer.text(), (error: unknown) => String(error)),
      `http://127.0.0.1:${program.port}/api/users/me`,
    );
    expect(stolen).toContain('Failed to fetch');

    await page.bringToFront();
    await page.goto(program.page);
    await page.getByRole('listitem', { name: 'jupyterlab' }).getByText('Running').waitFor();
    await visitor.leave();

    const second = await Visitor.come(browser, program.link);
    await second.page.getByRole('heading', { name: 'Log in to Workspaces' }).waitFor();
    await second.leave();
  });

  test('without link and cookie the page asks for the token', async () => {
    const visitor = await Visitor.come(browser, `${program.page}#/users/whoever/workspace?from=lab`);
    const { page } = visitor;
    const field = page.getByLabel('Token');
    await field.fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('The token is wrong.').waitFor();
    await visitor.picture('login');
    await field.fill(program.token);
    await field.press('Enter');
    await page.getByText('These are the workspaces of whoever.').waitFor();
    await page.getByText('Show mine').click();
    await page.getByRole('heading', { name: 'Your first workspace' }).waitFor();
    await visitor.leave();
  });
});

describe('the life of a workspace', () => {
  test('create, edit live, stop, start, delete, undo', async () => {
    const visitor = await visit();
    const { page } = visitor;
    await page.getByRole('button', { name: /^New workspace/ }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('thesis & <b>more</b> 研究');
    await visitor.picture('create');
    const tab = await visitor.opens(() => page.keyboard.press('Enter'));
    await tab.waitForURL(/\.localhost:\d+\/projects\//);
    await tab.close();
    const made = await program.reach('thesis & <b>more</b> 研究', 'running');
    const container = execFileSync('docker', ['inspect', '-f', '{{.Id}}', made.id]).toString();

    await page.goto(`${program.page}#/users/${made.owner}/workspace/${made.id}/settings`);
    await page.getByLabel('Memory', { exact: true }).fill('1');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.').waitFor();
    await visitor.picture('settings');
    await until('the limit acts', () => {
      const limits = execFileSync('docker', ['inspect', '-f', '{{.Id}}\n{{.HostConfig.Memory}}', made.id]).toString();
      return Promise.resolve(limits === `${container}${1000 * 2 ** 20}\n`);
    });
    await page.getByRole('tab', { name: 'Overview' }).click();
    await visitor.picture('overview');
    await page.getByRole('tab', { name: 'Logs' }).click();
    await page.getByLabel(/^Log of/).getByText('serve').first().waitFor();
    await visitor.picture('logs');

    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.getByRole('button', { name: 'Start', exact: true }).waitFor();
    await page.goto(program.page);
    const row = page.getByRole('listitem', { name: 'thesis' });
    await row.getByText('Stopped').waitFor();
    await row.getByRole('button', { name: /^Start/ }).click();
    await row.getByText('Running').waitFor();
    await visitor.picture('home');

    await row.getByRole('button', { name: /^More for/ }).click();
    await visitor.picture('menu');
    await page.getByRole('menuitem', { name: 'Delete', exact: true }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('listitem', { name: 'thesis' }).waitFor();
    const [back] = await program.workspaces();
    expect(back?.storage.volume).toBe(made.storage.volume);
    await visitor.leave();
  });

  test('files of a deleted workspace are kept, measured, used again and deleted', async () => {
    const made = await program.create({ display_name: 'data' });
    await program.reach('data', 'running');
    execFileSync('docker', ['exec', made.id, 'sh', '-c', 'head -c 3000000 /dev/zero > /workspace/big']);
    const visitor = await visit();
    const { page } = visitor;
    const row = page.getByRole('listitem', { name: 'data' });
    await row.getByRole('button', { name: 'More for data' }).click();
    await page.getByRole('menuitem', { name: 'Delete', exact: true }).click();
    await row.waitFor({ state: 'detached' });
    await page.getByRole('link', { name: /kept/i }).click();
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.getByText('3 MB').waitFor();
    await visitor.picture('volumes');
    await page.getByRole('button', { name: 'Delete the files of data' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('3 MB').first().waitFor();
    await visitor.picture('delete-files');
    await dialog.getByRole('button', { name: 'Keep' }).click();

    await page.getByRole('button', { name: 'Use in a new workspace' }).click();
    await visitor.opens(() => page.getByRole('button', { name: /^Create and open/ }).click());
    await until('it runs again', async () => (await program.workspaces())[0]?.status === 'running');
    const [again] = await program.workspaces();
    expect(execFileSync('docker', ['exec', again?.id ?? '', 'ls', '/workspace']).toString()).toContain('big');
    await visitor.leave();
  });

  test('a failed start says why, with the action that helps', async () => {
    await program.create({ display_name: 'typo', container_image: 'lab-e2e-no-such-image:1' });
    await program.reach('typo', 'failed');
    const visitor = await visit();
    const row = visitor.page.getByRole('listitem', { name: 'typo' });
    await row.getByText('Failed').waitFor();
    await row.getByText(/lab-e2e-no-such-image/).first().waitFor();
    await visitor.picture('failed');
    await visitor.leave();
  });

  test('a corrected image starts', async () => {
    await program.create({ display_name: 'typo', container_image: 'lab-e2e-no-such-image:1' });
    await program.reach('typo', 'failed');
    const visitor = await visit();
    const { page } = visitor;
    await page.getByRole('button', { name: 'Change image typo' }).click();
    const image = page.getByRole('combobox', { name: 'Image', exact: true });
    await expect.poll(() => image.evaluate((field) => field === document.activeElement)).toBe(true);
    await image.fill('lab-workspace-minimal:latest');
    await page.getByRole('button', { name: 'Save and start' }).click();
    await page.getByRole('heading', { name: /^(Starting typo|typo is ready)$/ }).waitFor();
    await program.reach('typo', 'running');
    await visitor.leave();
  });

  test('an image that cannot be had leaves the workspace and its settings as they were', async () => {
    const made = await program.create({ display_name: 'steady' });
    await program.reach('steady', 'running');
    const visitor = await visit();
    const { page } = visitor;
    await page.goto(`${program.page}#/users/${made.owner}/workspace/${made.id}/settings`);
    const image = page.getByRole('combobox', { name: 'Image', exact: true });
    await image.fill('lab-e2e-no-such-image:1');
    await page.getByRole('button', { name: 'Save and restart' }).click();
    await page.getByText('It goes on with lab-workspace-minimal:latest.').first().waitFor();
    await expect.poll(() => image.inputValue()).toBe('lab-workspace-minimal:latest');
    await visitor.picture('image-kept');
    await visitor.leave();
  });

  test('a double click on Start starts', async () => {
    await program.create({ display_name: 'twice', is_stopped: true });
    const visitor = await visit();
    const row = visitor.page.getByRole('listitem', { name: 'twice' });
    const { x, y, width, height } = (await row.getByRole('button', { name: 'Start twice' }).boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
    await visitor.page.mouse.click(x + width / 2, y + height / 2, { clickCount: 2, delay: 20 });
    await visitor.page.mouse.click(x + width / 2, y + height / 2);
    await row.getByText('Running').waitFor();
    await visitor.leave();
  });

  test('deleted by mistake: two that never ran come back by one key', async () => {
    await program.create({ display_name: 'first', is_stopped: true });
    await program.create({ display_name: 'second', is_stopped: true });
    const visitor = await visit();
    const { page } = visitor;
    for (const name of ['first', 'second']) {
      await page.getByRole('button', { name: `More for ${name}` }).click();
      await page.getByRole('menuitem', { name: 'Delete', exact: true }).click();
      await page.getByRole('listitem', { name }).waitFor({ state: 'detached' });
    }
    await page.getByText('Deleted 2 workspaces.').waitFor();
    await page.keyboard.press('z');
    for (const name of ['first', 'second']) await page.getByRole('listitem', { name }).waitFor();
    await visitor.leave();
  });

  test('a start can be called off', async () => {
    const made = await program.create({ display_name: 'brief', is_stopped: true, profile: 'deaf' });
    const visitor = await visit();
    const row = visitor.page.getByRole('listitem', { name: 'brief' });
    await row.getByRole('button', { name: 'Start brief' }).click();
    await row.getByRole('button', { name: 'Cancel brief' }).click();
    await row.getByText('Stopped').waitFor();
    await until('its container is gone', () => {
      const left = execFileSync('docker', ['ps', '-aq', '--filter', `name=^${made.id}$`]).toString();
      return Promise.resolve(left === '');
    });
    await visitor.leave();
  });
});

describe('quotas', () => {
  let bounded: Program;

  beforeAll(async () => {
    bounded = await Program.start('[quota.user]\nrunning = 1\non_exceed = "queue"\n');
  });
  afterAll(async () => {
    await bounded.end();
  });

  test('what is too much waits for its turn, says for what, and starts by itself; an administrator stops with a reason', async () => {
    const first = await bounded.create({ display_name: 'first' });
    await bounded.reach('first', 'running');
    const visitor = await Visitor.come(browser, `${bounded.page}?ct_token=${bounded.token}`);
    const { page } = visitor;
    await page.getByText('1 of 1', { exact: true }).waitFor();

    // Told before it is asked for; nothing is opened for what only waits.
    await page.getByRole('button', { name: /^New workspace/ }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('second');
    await page.getByText('Waits, position 1.').waitFor();
    await visitor.picture('create-waits');
    await page.getByRole('button', { name: /^Create and wait/ }).click();
    const second = page.getByRole('listitem', { name: 'second' });
    await second.getByText('Queued').waitFor();
    await second.getByText('position 1').waitFor();
    await second.getByText(/Stop "first"/).waitFor();
    await visitor.picture('queued');
    expect(visitor.context.pages()).toHaveLength(1);

    // It can be called off, and takes its place again.
    await second.getByRole('button', { name: 'Cancel second' }).click();
    await second.getByText('Stopped').waitFor();
    await second.getByRole('button', { name: 'Start second' }).click();
    await second.getByText('Queued').waitFor();
    await page.getByRole('button', { name: 'More for first' }).click();
    await page.getByRole('menuitem', { name: 'Stop', exact: true }).click();
    await second.getByText('Running').waitFor();

    await page.goto(`${bounded.page}#/admin`);
    await page.getByRole('table', { name: 'Users' }).getByRole('row', { name: new RegExp(`^${first.owner}`) }).getByText('1 of 1').waitFor();
    await visitor.picture('admin');
    await page.getByRole('button', { name: /^Stop second of/ }).click();
    await page.getByRole('textbox', { name: /^Reason for/ }).fill('maintenance');
    await page.keyboard.press('Enter');
    await page.getByText(/stopped second of/).waitFor();
    await page.goto(bounded.page);
    await second.getByText(/^Stopped by the administrator .*: maintenance/).waitFor();
    await visitor.leave();
  });
});

describe('opening', () => {
  test('a stopped workspace that is visited shows its start and then itself; scripts do not start it', async () => {
    const made = await program.create({ display_name: 'sleeper' });
    await program.reach('sleeper', 'running');
    const visitor = await visit();
    const row = visitor.page.getByRole('listitem', { name: 'sleeper' });
    const lab = await visitor.opens(() => row.getByRole('button', { name: 'Open sleeper' }).click());
    await lab.locator('.jp-LauncherCard').first().waitFor();
    await program.api('POST', `users/${made.owner}/workspace/${made.id}:stop`);
    const answer = await lab.evaluate(() => fetch(location.pathname.replace(/(\/access\/\w+).*/, '$1/api/contents')).then((response) => response.status));
    expect(answer).toBe(503);
    expect((await program.workspaces())[0]?.status).toBe('stopped');
    await lab.reload();
    await lab.locator('.jp-LauncherCard').first().waitFor();
    expect((await program.workspaces())[0]?.status).toBe('running');
    await visitor.leave();
  });

  test('names that do not resolve: the page asks for the other kind of address', async () => {
    await program.create({ display_name: 'unresolved' });
    await program.reach('unresolved', 'running');
    const stubborn = await launch();
    const visitor = await Visitor.come(stubborn, `${program.page}?ct_token=${program.token}`);
    await visitor.context.route(/\.localhost:/, (route) => route.abort('namenotresolved'));
    await visitor.page.reload();
    const lab = await visitor.opens(() => visitor.page.getByRole('button', { name: 'Open unresolved' }).click());
    await lab.waitForURL(/^http:\/\/(127\.0\.0\.1|localhost):\d+\/projects\//);
    await lab.locator('.jp-LauncherCard').first().waitFor();
    await stubborn.close();
  });

  test('uploads of many megabytes pass', async () => {
    await program.create({ display_name: 'upload' });
    const made = await program.reach('upload', 'running');
    const visitor = await visit();
    const lab = await visitor.opens(() => visitor.page.getByRole('button', { name: 'Open upload' }).click());
    await lab.locator('.jp-LauncherCard').first().waitFor();
    const status = await lab.evaluate(async () => {
      const base = location.pathname.replace(/(\/access\/\w+).*/, '$1');
      const xsrf = /_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? '';
      const body = JSON.stringify({ type: 'file', format: 'text', content: 'x'.repeat(60_000_000) });
      return (await fetch(`${base}/api/contents/big.txt`, { method: 'PUT', body, headers: { 'X-XSRFToken': xsrf } })).status;
    });
    expect(status).toBe(201);
    expect(execFileSync('docker', ['exec', made.id, 'stat', '-c', '%s', '/workspace/big.txt']).toString().trim()).toBe('60000000');
    await visitor.leave();
  });
});

describe('the pages', () => {
  test('fit every screen, light and dark', async () => {
    await program.create({ display_name: 'a workspace whose name is rather long, as people like them to be, up to the last letter' });
    await program.create({ display_name: 'typo', container_image: 'lab-e2e-no-such-image:1' });
    await program.create({ display_name: 'at rest', is_stopped: true });
    await program.reach('typo', 'failed');
    const made = await program.reach('a workspace whose name is rather long, as people like them to be, up to the last letter', 'running');
    for (const [width, colorScheme] of [[360, 'light'], [360, 'dark'], [720, 'light'], [1280, 'dark'], [1920, 'light']] as const) {
      const visitor = await visit({ viewport: { width, height: 800 }, colorScheme });
      for (const [name, route] of [['home', ''], ['create', '/new'], ['detail', `/${made.id}`], ['logs', `/${made.id}/logs`], ['settings', `/${made.id}/settings`], ['admin', '']] as const) {
        await visitor.page.goto(name === 'admin' ? `${program.page}#/admin` : `${program.page}#/users/${made.owner}/workspace${route}`);
        await visitor.page.getByRole('heading').first().waitFor();
        await visitor.expectNoSidewaysScroll();
        await visitor.picture(`${name}-${width}-${colorScheme}`);
      }
      await visitor.leave();
    }
  });

  test('cut no button off, however wide they are', async () => {
    await program.create({ display_name: 'typo', container_image: 'lab-e2e-no-such-image:1' });
    await program.create({ display_name: 'at rest', is_stopped: true });
    await program.reach('typo', 'failed');
    const visitor = await visit();
    for (const width of [320, 719, 720, 768, 800, 840, 900, 1024]) {
      await visitor.page.setViewportSize({ width, height: 800 });
      const over = await visitor.page.evaluate(() => {
        const end = document.querySelector('[data-workspace]')?.getBoundingClientRect().right ?? 0;
        return [...document.querySelectorAll('[data-workspace] button, [data-workspace] a')].filter((button) => button.getBoundingClientRect().right > end).map((button) => button.textContent);
      });
      expect(over, `at ${width} px`).toEqual([]);
    }
    await visitor.leave();
  });

  test('cut no number off, as narrow as a table of them can be', async () => {
    await program.create({ display_name: 'runs', storage: { volume_size: 15_500 } });
    await until('its files are measured', async () => (await program.workspaces()).every(({ storage }) => storage.volume_used !== null));
    const visitor = await visit();
    await visitor.page.locator('[data-workspace]').getByText('of 15.5 GB').waitFor();
    for (const width of [320, 720, 938, 960, 1024, 1056, 1280]) {
      await visitor.page.setViewportSize({ width, height: 800 });
      const cut = await visitor.page.evaluate(() => [...document.querySelectorAll('[data-workspace] .numbers > span')].filter((text) => text.scrollWidth > text.clientWidth).map((text) => text.textContent));
      expect(cut, `at ${width} px`).toEqual([]);
    }
    await visitor.leave();
  });

  test('work by keyboard alone', async () => {
    const visitor = await visit();
    const { page } = visitor;
    await page.getByRole('heading', { name: 'Your first workspace' }).waitFor();
    await page.keyboard.press('n');
    await page.getByRole('textbox', { name: 'Name' }).waitFor();
    await page.keyboard.type('typed');
    const lab = await visitor.opens(() => page.keyboard.press('Enter'));
    await lab.close();
    await program.reach('typed', 'running');
    await page.goto(program.page);
    await page.getByRole('listitem', { name: 'typed' }).getByText('Running').waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await visitor.picture('keys');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('Control+k');
    await page.keyboard.type('nothing like it');
    await page.getByText('Nothing matches').waitFor();
    await visitor.leave();
  });

  test('describe the API without asking another machine', async () => {
    const visitor = await Visitor.come(browser, `http://127.0.0.1:${program.port}/api/docs`);
    const foreign: string[] = [];
    visitor.page.on('request', (request) => {
      if (!request.url().startsWith(`http://127.0.0.1:${program.port}/`) && !request.url().startsWith('data:')) foreign.push(request.url());
    });
    await visitor.page.reload();
    await visitor.page.getByText('/users/{user_id}/workspace', { exact: true }).first().waitFor();
    await visitor.picture('docs');
    expect(foreign).toEqual([]);
    await visitor.leave();
  });
});
