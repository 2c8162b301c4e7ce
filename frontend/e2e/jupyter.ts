// What people do in JupyterLab.
import type { Page } from 'playwright-core';

/** Makes a notebook in JupyterLab's launcher, and runs a cell in it. */
export async function runCell(lab: Page, code: string, output: string): Promise<void> {
  const introduced = kernelIntroducesItself(lab);
  await lab.locator('.jp-LauncherCard[data-category="Notebook"]').first().click();
  // Without any proxy, too, JupyterLab 4 drops a cell that is run before its kernel has said what it is.
  await introduced;
  await lab.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').first().waitFor({ state: 'attached' });
  const cell = lab.locator('.jp-Notebook .cm-content').first();
  await cell.click();
  await cell.pressSequentially(code);
  await lab.locator('.jp-Notebook .cm-content', { hasText: code }).waitFor();
  await lab.keyboard.press('Shift+Enter');
  await lab.locator('.jp-OutputArea-output', { hasText: output }).first().waitFor();
}

/** Resolves when the kernel of the page's notebook has answered what it is, on its WebSocket. */
function kernelIntroducesItself(lab: Page): Promise<void> {
  return new Promise((resolve) => {
    lab.on('websocket', (socket) => {
      socket.on('framereceived', ({ payload }) => {
        if (payload.toString().includes('"kernel_info_reply"')) resolve();
      });
    });
  });
}
