// A Chromium with an empty profile, and what is checked on every page.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Opens a browser; `watch` reports console errors and requests to anybody but `origin`. */
export async function openBrowser(origin) {
  const profile = mkdtempSync(join(tmpdir(), 'daybook-e2e-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
  });
  const errors = [];
  const external = [];
  const watch = (page) => {
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('request', (request) => {
      const url = request.url();
      const own = url.startsWith(origin) || url.startsWith(origin.replace(/^http/, 'ws'));
      if (!own && !/^(data|blob):/.test(url)) external.push(url);
    });
    page.on('websocket', (socket) => {
      if (!socket.url().startsWith(origin.replace(/^http/, 'ws'))) external.push(socket.url());
    });
  };
  context.on('page', watch);
  for (const page of context.pages()) watch(page);
  return {
    context,
    errors,
    external,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

export async function setTheme(page, theme) {
  await page.evaluate((name) => {
    if (document.documentElement.dataset.theme === name) return;
    document.querySelector('[aria-label="Light theme"], [aria-label="Dark theme"]')?.click();
  }, theme);
  await page.waitForFunction((name) => document.documentElement.dataset.theme === name, theme);
}

/**
 * The page has taken in its new size or theme: two frames are painted, fonts are there, and colours, which change over a
 * tenth of a second, belong to one theme.
 */
export function settled(page) {
  return page.evaluate(async () => {
    const frame = () => new Promise((painted) => requestAnimationFrame(painted));
    await frame();
    await frame();
    await document.fonts.ready;
    const transitions = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
    await Promise.allSettled(transitions.map((transition) => transition.finished));
  });
}

/** Violations of WCAG A and AA and of good practice, one line each. */
export async function axeViolations(page) {
  await settled(page);
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE);
  const { violations } = await page.evaluate(
    (tags) => window.axe.run(document, { runOnly: { type: 'tag', values: tags } }),
    AXE_TAGS,
  );
  return violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes
        .slice(0, 3)
        .map((node) => node.html.slice(0, 160))
        .join(' | ')}`,
  );
}

/** How many pixels the page is wider than its window. */
export function overflow(page) {
  return page.evaluate(() => {
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    const cut = [...document.querySelectorAll('body *')].filter((element) => {
      const box = element.getBoundingClientRect();
      if (box.width === 0 || box.right <= window.innerWidth + 1) return false;
      for (let parent = element.parentElement; parent; parent = parent.parentElement) {
        if (
          getComputedStyle(parent).overflowX !== 'visible' &&
          parent.getBoundingClientRect().right <= window.innerWidth + 1
        )
          return false;
      }
      return getComputedStyle(element).position !== 'absolute';
    });
    return { wide, cut: cut.slice(0, 3).map((element) => element.outerHTML.slice(0, 120)) };
  });
}
