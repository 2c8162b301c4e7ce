// Debian's Chromium, and what a page must never do: break its own security policy, throw, or scroll sideways.
import { mkdirSync } from 'node:fs';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';
import { expect } from 'vitest';

const pictures = 'test-results';

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
  });
}

export class Visitor {
  readonly complaints: string[] = [];
  /**
   * What the browser may complain of: it writes down every answer that is a refusal. 401 is how the page learns that it has to ask for the token;
   * ML Lab's page names no icon, and the browser asks for one at the root.
   */
  forgives = /\b401\b|\/favicon\.ico\b/;
  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  static async come(browser: Browser, address: string, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const visitor = new Visitor(context, page);
    page.on('pageerror', (error) => visitor.complaints.push(`error: ${error.message}`));
    page.on('console', (message) => {
      const text = `${message.text()} (${message.location().url})`;
      if (message.type() === 'error' && !visitor.forgives.test(text)) visitor.complaints.push(text);
    });
    await page.goto(address);
    return visitor;
  }

  /** A picture to look at, in test-results. */
  async picture(name: string): Promise<void> {
    mkdirSync(pictures, { recursive: true });
    await this.page.screenshot({ path: `${pictures}/${name}.png` });
  }

  async expectNoSidewaysScroll(): Promise<void> {
    const over = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(over, `${this.page.url()} is wider than the screen`).toBeLessThanOrEqual(0);
  }

  /** Does something that opens a tab, and returns the tab. */
  async opens(work: () => Promise<void>): Promise<Page> {
    const [tab] = await Promise.all([this.context.waitForEvent('page'), work()]);
    return tab;
  }

  async leave(): Promise<void> {
    await this.context.close();
    expect(this.complaints).toEqual([]);
  }
}
