// Inside a real ML Lab: in the frame of its page, through its proxy, with its users.
import type { Browser, FrameLocator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launch, Visitor } from './browser';
import { runCell } from './jupyter';
import { Lab } from './lab';
import { until } from './program';

let lab: Lab;
let browser: Browser;

beforeAll(async () => {
  lab = Lab.up();
  await lab.install();
  browser = await launch();
}, 300_000);
afterAll(async () => {
  await browser.close();
  Lab.down();
});

/** Logs in at the lab's page and goes to our component, as people do. */
async function enter(user: string, options = {}): Promise<{ visitor: Visitor; frame: FrameLocator }> {
  const visitor = await Visitor.come(browser, lab.page, options);
  const { page } = visitor;
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(user === 'admin' ? 'admin' : 'password');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('link', { name: /^Workspaces/ }).click();
  return { visitor, frame: page.frameLocator('iframe') };
}

/** Creates a workspace in the frame; returns the tab that JupyterLab is opened in. */
async function create(visitor: Visitor, frame: FrameLocator, name: string): Promise<Page> {
  await frame.getByRole('button', { name: /^New( workspace)?/ }).click();
  await frame.getByRole('textbox', { name: 'Name' }).fill(name);
  const tab = await visitor.opens(() => frame.getByRole('textbox', { name: 'Name' }).press('Enter'));
  await frame.getByRole('heading', { name: new RegExp(`^(Starting ${name}|${name} is ready)$`) }).waitFor();
  await tab.waitForURL(/\/projects\/\w+\/services\/[\w-]+\/access\/8080b\//);
  await tab.bringToFront();
  return tab;
}

describe('a lab', () => {
  test('shows us in its frame: create, compute, change, stop, delete with files', async () => {
    const ada = await lab.idOf('ada');
    const { visitor, frame } = await enter('ada');
    const { page } = visitor;
    await frame.getByRole('heading', { name: 'Your first workspace' }).waitFor();
    await frame.getByText('ML Lab answers').waitFor();
    // The lab's own bar stands above ours.
    expect(await frame.getByRole('banner').getByRole('link').count()).toBe(0);
    expect(await frame.getByRole('banner').getByRole('button').count()).toBe(1);
    expect(page.frames()[1]?.url()).toContain(`#/users/${ada}/workspace?project=${ada}`);
    await visitor.picture('lab-first-run');

    const jupyter = await create(visitor, frame, 'thesis');
    expect(await jupyter.evaluate(() => window.opener as unknown)).toBeNull();
    await runCell(jupyter, 'print(6 * 7)', '42');
    await jupyter.screenshot({ path: 'test-results/lab-jupyterlab.png' });
    await jupyter.close();

    await page.bringToFront();
    await frame.getByRole('link', { name: 'All workspaces' }).click();
    const row = frame.getByRole('listitem', { name: 'thesis' });
    await row.getByText('Running').waitFor();
    await visitor.picture('lab-home');

    // Nothing changes live in a lab: it takes a click on what says so.
    await row.getByRole('button', { name: 'More for thesis' }).click();
    expect(await frame.getByRole('menuitem', { name: 'Rename' }).count()).toBe(0);
    await frame.getByRole('menuitem', { name: 'Edit' }).click();
    const [before] = lab.containersOf(ada);
    await frame.getByRole('spinbutton', { name: 'Memory' }).fill('1.5');
    await page.keyboard.press('Enter');
    const save = frame.getByRole('button', { name: 'Save and restart' });
    await save.and(frame.locator(':focus')).waitFor();
    expect(lab.containersOf(ada)).toEqual([before]);
    await visitor.picture('lab-settings');
    await save.click();
    await until('it was started anew', () => {
      const [now] = lab.containersOf(ada);
      return Promise.resolve(now !== undefined && now !== before);
    });
    expect(lab.memoryOf(ada)).toBe(1_500 * 2 ** 20);
    await frame.getByText('Running', { exact: true }).waitFor();

    await frame.getByRole('button', { name: 'Stop', exact: true }).click();
    await frame.getByText('Stopped', { exact: true }).waitFor();
    expect(lab.containersOf(ada)).toEqual([]);
    expect(lab.volumesOf(ada)).toHaveLength(1);

    await frame.getByRole('button', { name: 'More for thesis' }).click();
    await frame.getByRole('menuitem', { name: 'Delete with its files …' }).click();
    const dialog = frame.getByRole('dialog');
    await dialog.getByText('it is started once more for that').waitFor();
    await visitor.picture('lab-delete');
    await dialog.getByRole('button', { name: 'Delete with its files' }).click();
    await frame.getByText('Deleted thesis and its files.').waitFor();
    await frame.getByRole('heading', { name: 'Your first workspace' }).waitFor();
    expect(lab.volumesOf(ada)).toEqual([]);
    await visitor.leave();
  });

  test('keeps files that were not deleted until they are, and users apart', async () => {
    const ada = await lab.idOf('ada');
    const { visitor, frame } = await enter('ada');
    const { page } = visitor;
    const writes = await create(visitor, frame, 'paper');
    await runCell(writes, "print(open('/workspace/draft', 'w').write('precious'))", '8');
    await writes.close();
    await page.bringToFront();
    await frame.getByRole('link', { name: 'All workspaces' }).click();

    const bob = await enter('bob');
    await bob.frame.getByRole('heading', { name: 'Your first workspace' }).waitFor();
    await bob.visitor.page.goto(`${lab.ours}#/users/${ada}/workspace`);
    await bob.visitor.page.getByText('You are logged in as bob').waitFor();
    expect(await bob.visitor.page.getByText('paper').count()).toBe(0);
    await bob.visitor.page.getByRole('button', { name: 'Show mine' }).click();
    await bob.visitor.page.getByRole('heading', { name: 'Your first workspace' }).waitFor();
    await bob.visitor.leave();

    // Who administers the lab acts for anybody, and sees what they do meanwhile.
    const admin = await enter('admin');
    await admin.visitor.page.goto(`${lab.ours}#/users/${ada}/workspace`);
    const row = admin.visitor.page.getByRole('listitem', { name: 'paper' });
    await row.getByText('Running').waitFor();
    await admin.visitor.page.getByText('Workspaces of ada').waitFor();
    await admin.visitor.picture('lab-admin');

    // Everybody's page says names, not ids.
    const everybody = await enter('admin');
    await everybody.visitor.page.goto(`${lab.ours}#/admin`);
    await everybody.visitor.page.getByRole('link', { name: 'ada' }).waitFor();
    await everybody.visitor.page.getByRole('button', { name: 'Stop paper of ada' }).waitFor();
    await everybody.visitor.leave();

    const [volume] = lab.volumesOf(ada);
    await frame.getByRole('button', { name: 'More for paper' }).click();
    await frame.getByRole('menuitem', { name: 'Delete', exact: true }).click();
    await frame.getByText('Deleted paper. Its files are kept.').waitFor();
    await row.waitFor({ state: 'detached' });
    await admin.visitor.leave();
    expect(lab.volumesOf(ada)).toEqual([volume]);
    await frame.getByRole('button', { name: 'Undo' }).click();
    await frame.getByRole('listitem', { name: 'paper' }).getByText('Running').waitFor();
    expect(lab.volumesOf(ada)).toEqual([volume]);

    // Nobody has them unasked: the next one of the name has a volume of its own.
    const remove = async (name: string): Promise<void> => {
      await frame.getByRole('button', { name: `More for ${name}` }).click();
      await frame.getByRole('menuitem', { name: 'Delete', exact: true }).click();
      await frame.getByText(`Deleted ${name}. Its files are kept.`).first().waitFor();
    };
    const keptVolumes = frame.getByRole('link', { name: 'Files of 1 deleted workspace are kept' });
    await remove('paper');
    await (await create(visitor, frame, 'paper')).close();
    await page.bringToFront();
    expect(lab.volumesOf(ada)).toHaveLength(2);

    // Who asks for them has them, whatever the new one is called.
    lab.forgetAddresses();
    await frame.getByRole('link', { name: 'All workspaces' }).click();
    await keptVolumes.click();
    await visitor.picture('lab-volumes');
    await frame.getByRole('button', { name: 'Use in a new workspace' }).click();
    await frame.getByRole('textbox', { name: 'Name' }).fill('book');
    const reads = await visitor.opens(() => frame.getByRole('textbox', { name: 'Name' }).press('Enter'));
    await reads.waitForURL(/\/projects\/\w+\/services\/[\w-]+\/access\/8080b\//);
    // It shows again what was open in it.
    await reads.getByRole('main').getByText('Untitled.ipynb').first().waitFor();
    expect(lab.read(reads.url(), '/workspace/draft')).toBe('precious');
    await reads.close();
    await page.bringToFront();
    expect(lab.volumesOf(ada)).toHaveLength(2);

    await frame.getByRole('link', { name: 'All workspaces' }).click();
    await remove('book');
    await keptVolumes.click();
    await frame.getByRole('button', { name: 'Delete the files of book' }).click();
    const dialog = frame.getByRole('dialog');
    await dialog.getByText('one is started for that').waitFor();
    await dialog.getByRole('button', { name: 'Delete with its files' }).click();
    await frame.getByText('Deleted the files of book.').waitFor();
    expect(lab.volumesOf(ada)).toHaveLength(1);
    expect(lab.volumesOf(ada)).not.toEqual([volume]);
    await visitor.leave();
  });

  test('that goes away is said to, and so is that it is back', async () => {
    const { visitor, frame } = await enter('ada');
    await frame.getByRole('listitem', { name: 'paper' }).waitFor();
    visitor.forgives = /ERR_|WebSocket|Failed to load resource/;
    lab.goAway();
    await frame.getByRole('alert').getByText('ML Lab does not answer.').waitFor();
    expect(await frame.getByRole('button', { name: 'Open paper' }).count()).toBe(0);
    await visitor.picture('lab-away');
    await lab.comeBack();
    await frame.getByText('ML Lab is back.').waitFor();
    await frame.getByRole('button', { name: 'Open paper' }).waitFor();
    await visitor.leave();
  });

  test('sends who is not logged in to its own page', async () => {
    const { visitor, frame } = await enter('ada');
    const { page } = visitor;
    await frame.getByRole('listitem', { name: 'paper' }).waitFor();
    visitor.forgives = /\b40[13]\b|ERR_|WebSocket/;
    await visitor.context.clearCookies({ name: 'ct_token' });
    await page.goto('about:blank');
    await page.goto(`${lab.ours}/#/users/${await lab.idOf('ada')}/workspace`);
    await page.getByRole('heading', { name: 'You are not logged in to ML Lab' }).waitFor();
    await visitor.picture('lab-login');
    await page.getByRole('link', { name: 'Go to ML Lab' }).click();
    await page.getByRole('button', { name: 'Log in' }).waitFor();
    await visitor.leave();
  });

  test('has us below a path as well', async () => {
    lab = await lab.moveTo('/lab');
    const ada = await lab.idOf('ada');
    const { visitor, frame } = await enter('ada', { viewport: { width: 640, height: 800 } });
    await frame.getByRole('listitem', { name: 'paper' }).waitFor();
    const jupyter = await create(visitor, frame, 'below');
    expect(new URL(jupyter.url()).pathname).toMatch(/^\/lab\/projects\//);
    await runCell(jupyter, 'print(6 * 7)', '42');
    await jupyter.close();
    expect(lab.containersOf(ada)).toHaveLength(2);
    await visitor.leave();
  }, 240_000);
});
