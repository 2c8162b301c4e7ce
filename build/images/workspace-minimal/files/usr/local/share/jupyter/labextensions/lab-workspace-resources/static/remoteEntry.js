// An indicator in the status bar: what the workspace uses of its CPUs and its memory.
//
// JupyterLab loads extensions as containers of module federation, which bundlers make. This
// one is small enough to be written by hand: `init` gets the modules that JupyterLab shares,
// `get` returns ours. The numbers come from resources.py of this image.
(() => {
  'use strict';

  const NAME = 'lab-workspace-resources';
  const INTERVAL = 5_000; // milliseconds
  const ALMOST = 0.9; // of the memory limit: more is worth a warning
  let shared;

  async function load(name) {
    const versions = Object.values(shared[name]);
    const version = versions.find(candidate => candidate.loaded) ?? versions[0];
    return (await version.get())();
  }

  // The manager's units, and ML Lab's: an MB has 2^20 bytes, a GB 1000 of them.
  function memory(used, limit) {
    const [unit, size, digits] = limit < 1000 * 2 ** 20 ? ['MB', 2 ** 20, 0] : ['GB', 1000 * 2 ** 20, 2];
    const round = bytes => (bytes / size).toLocaleString(undefined, { maximumFractionDigits: digits });
    return `${round(used)} / ${round(limit)} ${unit}`;
  }

  function cpus(count) {
    return count === null ? '–' : count.toLocaleString(undefined, { maximumFractionDigits: 1 });
  }

  // Processor time is counted from the start on; what is used now is the growth between two answers.
  function cpusInUse(before, now) {
    return before && now.cpu_seconds !== null && now.time > before.time
      ? Math.max(0, now.cpu_seconds - before.cpu_seconds) / (now.time - before.time)
      : null;
  }

  function show(node, before, now) {
    const cpu = `${cpus(cpusInUse(before, now))} / ${cpus(now.cpu_limit)}`;
    const share = now.memory_bytes / now.memory_limit_bytes;
    const full = share >= ALMOST;
    const amount = memory(now.memory_bytes, now.memory_limit_bytes);
    node.textContent = `CPU ${cpu}   ${full ? '⚠ ' : ''}Memory ${amount}`;
    node.style.color = full ? 'var(--jp-error-color1)' : '';
    node.title =
      `CPUs in use / limit: ${cpu}\n` +
      `Memory in use / limit: ${amount} (${Math.round(share * 100)} %)\n` +
      'These are the limits of this workspace. A program that needs more memory is ended.';
  }

  async function plugin() {
    const [{ IStatusBar }, { Widget }, { Poll }, { ServerConnection }] = await Promise.all(
      ['@jupyterlab/statusbar', '@lumino/widgets', '@lumino/polling', '@jupyterlab/services'].map(load)
    );
    return {
      id: `${NAME}:plugin`,
      description: 'Shows in the status bar what the workspace may use and what it uses.',
      autoStart: true,
      requires: [IStatusBar],
      activate: (app, statusBar) => {
        const item = new Widget();
        item.id = NAME;
        item.addClass('jp-StatusBar-TextItem');
        item.node.style.whiteSpace = 'pre';
        statusBar.registerStatusItem(item.id, { item, align: 'left', rank: 3 });

        const settings = app.serviceManager.serverSettings;
        let before = null;
        const poll = new Poll({
          name: `${NAME}:poll`,
          frequency: { interval: INTERVAL, backoff: true, max: 60_000 },
          standby: 'when-hidden',
          factory: async () => {
            const response = await ServerConnection.makeRequest(`${settings.baseUrl}api/lab-workspace/resources`, {}, settings);
            if (!response.ok) {
              throw new ServerConnection.ResponseError(response);
            }
            const now = await response.json();
            show(item.node, before, now);
            before = now;
          }
        });
        item.disposed.connect(() => poll.dispose());
      }
    };
  }

  (window._JUPYTERLAB ??= {})[NAME] = {
    init: scope => {
      shared = scope;
    },
    get: async () => {
      const found = await plugin();
      return () => ({ __esModule: true, default: found });
    }
  };
})();
