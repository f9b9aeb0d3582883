// The first visit, as a person has it: the sign-in link, the demo run, the approval, the end. On the way the socket
// breaks five times, a second tab joins, and every page is checked. DAYBOOK_URL is the link; SHOTS takes pictures.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { axeViolations, openBrowser, overflow, setTheme, settled } from './browser.mjs';
import { positionsFromServer } from './log.mjs';
import { projections } from './projections.mjs';

const url = process.env.DAYBOOK_URL;
assert(url, 'DAYBOOK_URL is the sign-in link that `daybook demo` prints');
const origin = new URL(url).origin;
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

const LONG = 120_000;
const DROPS = 5;
const THEMES = { dark: 'NeonCyberNight', light: 'SerialSteel' };
const SIZES = { wide: [1440, 900], medium: [1024, 768], phone: [390, 844] };
let drops = 0;
const failures = [];
const check = (ok, what) => {
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}`);
  if (!ok) failures.push(what);
};

const browser = await openBrowser(origin);
try {
  await story(await browser.context.newPage());
} catch (problem) {
  failures.push(String(problem));
  console.error(problem);
} finally {
  await browser.close();
}
console.log(failures.length === 0 ? 'The story holds.' : `${failures.length} checks failed.`);
process.exit(failures.length === 0 ? 0 : 1);

async function story(page) {
  await signedOut(page);
  await page.goto(url);
  await page.waitForURL(/\/s\/session/, { timeout: LONG });
  check(true, 'the demo starts by itself');
  await words(page).waitFor({ timeout: LONG });
  await shot(page, 'streaming', ['wide', 'phone']);

  const second = await browser.context.newPage();
  await second.goto(page.url());
  await words(second).waitFor({ timeout: LONG });
  check(true, 'a second tab sees the text so far');

  await drop(page);
  await drop(page);
  await page.getByRole('button', { name: 'Approve once' }).first().waitFor({ timeout: LONG });
  await page.waitForFunction(() => document.title.startsWith('(1)'), null, { timeout: LONG });
  check(true, 'the tab title counts the approval');
  await inspect(page, 'approval');
  await approve(page);
  check(true, 'the approval is answered');
  while (drops < DROPS) await drop(page);
  await approveUntilDone(page);
  check(true, 'the run is done');

  await compare(page, 'first tab');
  await compare(second, 'second tab');
  await second.close();
  await inspect(page, 'done');
  await keyboard(page);
  await elsewhere(page);
  const lost = browser.errors.filter((text) => !/401|ERR_INTERNET_DISCONNECTED|WebSocket connection to/.test(text));
  check(lost.length === 0, `no console errors ${lost.slice(0, 3).join(' | ')}`);
  check(browser.external.length === 0, `no external requests ${browser.external.slice(0, 3).join(' ')}`);
}

/** What the agent says, while it is being written or after. */
function words(page) {
  return page.getByTestId('live-text').or(page.getByTestId('assistant-message')).first();
}

async function approve(page) {
  const card = page.getByRole('article', { name: /^Approval: / }).first();
  const id = await card.getAttribute('id');
  await card.getByRole('button', { name: 'Approve once' }).click();
  await page.locator(`[id="${id}"]`).waitFor({ state: 'detached', timeout: LONG });
}

/** However often a run asks. */
async function approveUntilDone(page) {
  const done = page.getByTestId('agent-status').getByText('Done', { exact: true });
  const asked = page.getByRole('button', { name: 'Approve once' });
  for (;;) {
    await done.or(asked).first().waitFor({ timeout: LONG });
    if (await done.isVisible()) return;
    await approve(page);
  }
}

async function signedOut(page) {
  await page.goto(origin);
  await page.getByRole('heading', { name: 'You are not signed in' }).waitFor({ timeout: LONG });
  check(true, 'a stranger is told to open the link');
  await shot(page, 'signed-out', ['wide']);
}

/** Breaks the socket, by closing it or by cutting the network, and waits until the page is live again. */
async function drop(page) {
  drops += 1;
  const before = await page.evaluate(() => window.__daybook.reconnects);
  if (drops % 2 === 0) {
    const cdp = await page.context().newCDPSession(page);
    const network = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await cdp.send('Network.emulateNetworkConditions', { ...network, offline: true });
    await page.evaluate(() => window.__daybook.dropSocket());
    await page
      .getByText(/reconnecting|offline/i)
      .first()
      .waitFor({ timeout: LONG });
    await cdp.send('Network.emulateNetworkConditions', { ...network, offline: false });
    await cdp.detach();
  } else {
    await page.evaluate(() => window.__daybook.dropSocket());
  }
  await page.waitForFunction((count) => window.__daybook.reconnects > count, before, { timeout: LONG });
}

async function compare(page, name) {
  await page.waitForFunction(
    () => document.querySelector('[data-testid="caught-up"]')?.textContent?.startsWith('caught'),
    null,
    {
      timeout: LONG,
    },
  );
  const sessionId = decodeURIComponent(new URL(page.url()).pathname.split('/')[2] ?? '');
  const cookies = await page.context().cookies(origin);
  const cookie = cookies.map(({ name: key, value }) => `${key}=${value}`).join('; ');
  const served = await positionsFromServer({ origin, cookie, sessionId });
  await page.waitForFunction((count) => window.__daybook.positions().length >= count, served.length, { timeout: LONG });
  const held = await page.evaluate(() => window.__daybook.positions());
  const { gaps, duplicates, reconnects } = await page.evaluate(() => {
    const { gaps, duplicates, reconnects } = window.__daybook;
    return { gaps, duplicates, reconnects };
  });
  check(
    JSON.stringify(held) === JSON.stringify(served),
    `${name}: ${held.length} positions, the server's ${served.length}, in order`,
  );
  console.log(`     ${name}: ${reconnects} reconnects, ${gaps} gaps proven, ${duplicates} duplicates dropped`);
}

/** Both themes and all sizes: axe, overflow, pictures. */
async function inspect(page, name) {
  for (const [short, theme] of Object.entries(THEMES)) {
    await setTheme(page, theme);
    for (const [size, [width, height]] of Object.entries(SIZES)) {
      await page.setViewportSize({ width, height });
      await settled(page);
      const { wide, cut } = await overflow(page);
      check(wide <= 0 && cut.length === 0, `${name} ${short} ${width} px: no overflow ${cut.join(' ')}`);
      const violations = await axeViolations(page);
      check(violations.length === 0, `${name} ${short} ${width} px: axe ${violations.join('\n       ')}`);
      if (shots) await page.screenshot({ path: join(shots, `${name}-${short}-${size}.png`) });
    }
  }
  await setTheme(page, THEMES.dark);
  await page.setViewportSize({ width: 1440, height: 900 });
}

async function shot(page, name, sizes) {
  if (!shots) return;
  for (const size of sizes) {
    const [width, height] = SIZES[size];
    await page.setViewportSize({ width, height });
    await settled(page);
    await page.screenshot({ path: join(shots, `${name}-dark-${size}.png`) });
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

async function keyboard(page) {
  await page.locator('h1').first().click();
  await page.keyboard.press('k');
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await page.getByRole('complementary', { name: 'Inspector' }).waitFor();
  check(true, 'K and Enter open the inspector');
  await inspect(page, 'inspector');
  await page.keyboard.press('Escape');
  await page.getByRole('complementary', { name: 'Inspector' }).waitFor({ state: 'detached' });
  await page.keyboard.press('Shift+?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  if (shots) await page.screenshot({ path: join(shots, 'shortcuts-dark-wide.png') });
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+b');
  check(
    (await page.getByRole('searchbox', { name: 'Search sessions by title' }).count()) === 0,
    'Ctrl+B hides the sessions',
  );
  await page.keyboard.press('Control+b');
  await page.keyboard.press('Control+k');
  await page.getByRole('dialog', { name: 'Command palette' }).waitFor();
  if (shots) await page.screenshot({ path: join(shots, 'palette-dark-wide.png') });
  await page.keyboard.press('Escape');
  await page.getByRole('region', { name: 'Files' }).getByRole('button').first().click();
  await page.getByRole('complementary', { name: 'Inspector' }).waitFor();
  await inspect(page, 'file');
  await page.keyboard.press('Escape');
  await page.setViewportSize({ width: 320, height: 640 });
  await settled(page);
  const narrow = await overflow(page);
  check(narrow.wide <= 0 && narrow.cut.length === 0, `320 px: no overflow ${narrow.cut.join(' ')}`);
  if (shots) await page.screenshot({ path: join(shots, 'narrow-dark.png') });
  for (const tab of ['Timeline', 'Plan, files, cost']) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole('navigation', { name: 'Views' }).getByRole('button', { name: tab }).click();
    await settled(page);
    const { wide, cut } = await overflow(page);
    check(wide <= 0 && cut.length === 0, `phone, ${tab}: no overflow ${cut.join(' ')}`);
    const violations = await axeViolations(page);
    check(violations.length === 0, `phone, ${tab}: axe ${violations.join('\n       ')}`);
    if (shots) await page.screenshot({ path: join(shots, `phone-${tab.split(/\W/)[0]?.toLowerCase()}-dark.png`) });
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

async function elsewhere(page) {
  await page.getByRole('link', { name: 'Ledger' }).click();
  await page.getByRole('heading', { name: 'Ledger' }).waitFor();
  await page.getByLabel('Memo accounts').check();
  await page.getByRole('cell').first().waitFor({ timeout: LONG });
  await inspect(page, 'ledger');
  await projections(page, { check, patience: LONG });
  await inspect(page, 'projections');
  await page.getByRole('link', { name: 'New task' }).click();
  await page.getByRole('heading', { name: 'What should the agent do?' }).waitFor();
  await settled(page);
  await inspect(page, 'start');
}
