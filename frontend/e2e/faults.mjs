// What the real server seldom does, played by the fake one: denial, stop, failure, a server that is gone, frames that
// are lost or come twice. Needs a built client; starts its own server.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startFake } from '../src/test/fake/server.mjs';
import { axeViolations, openBrowser } from './browser.mjs';
import { positionsFromServer } from './log.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const schemaPath = process.env.SCHEMA ?? join(root, '../graphql/schema.graphql');
const LONG = 60_000;
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

const options = { schemaPath, dist: join(root, 'dist'), speed: 3, faults: ['skip', 'repeat'] };
let fake = await startFake(options);
const browser = await openBrowser(fake.origin);
const page = await browser.context.newPage();
const picture = (name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });
try {
  await page.goto(fake.signInUrl);
  await denied();
  await stopped();
  await failed();
  await steered();
  await imported();
  await unknown();
  await quarantined();
  await givenUp();
  await serverGone();
  console.log('All faults are survived.');
} catch (problem) {
  await picture('failure');
  console.error(problem);
  process.exitCode = 1;
} finally {
  await browser.close();
  fake.stop();
}
process.exit();

async function run(task) {
  await page.getByRole('link', { name: 'New task' }).click();
  await page.getByLabel('A task of your own').last().fill(task);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/s\/session/);
}

function status(word) {
  return page.getByTestId('agent-status').getByText(word, { exact: true }).waitFor({ timeout: LONG });
}

async function ok(what) {
  const violations = await axeViolations(page);
  assert.deepEqual(violations, [], what);
  console.log(`ok   ${what}`);
}

async function denied() {
  await page.getByRole('button', { name: 'Deny' }).click({ timeout: LONG });
  await page.getByLabel('Why not? The agent reads this.').fill('Run the tests instead.');
  await picture('denying');
  await page.getByRole('button', { name: 'Deny' }).click();
  await page.getByText('Declined').first().waitFor({ timeout: LONG });
  await status('Done');
  await page.getByText('You declined the trial command').first().waitFor();
  await same('a denial takes the other branch');
}

/** The page holds exactly what the server holds, although frames were lost and came twice. */
async function same(what) {
  const sessionId = decodeURIComponent(new URL(page.url()).pathname.split('/')[2] ?? '');
  const [cookie] = await page.context().cookies(fake.origin);
  const served = await positionsFromServer({
    origin: fake.origin,
    cookie: `${cookie?.name}=${cookie?.value}`,
    sessionId,
  });
  await page.waitForFunction((count) => window.__daybook.positions().length >= count, served.length, { timeout: LONG });
  assert.deepEqual(await page.evaluate(() => window.__daybook.positions()), served);
  await ok(what);
}

async function stopped() {
  await run('Count slowly to five.');
  await page.getByRole('button', { name: 'Approve for this run' }).click({ timeout: LONG });
  await page.getByText('output, still coming').waitFor({ timeout: LONG });
  await picture('live-output');
  await page.getByRole('button', { name: 'Stop' }).click();
  await status('Stopped');
  await ok('a run is stopped in the middle of a command');
  await page.getByRole('button', { name: 'Run it again' }).click();
  await page.getByRole('button', { name: 'Approve once' }).click({ timeout: LONG });
  await status('Done');
  await same('and run again as a new session');
}

async function failed() {
  await run('Fail, please.');
  await status('Failed');
  await picture('failed');
  await ok('a failure says why and offers what helps');
  await page.getByRole('button', { name: 'Try again' }).first().click();
  await page.getByRole('button', { name: 'Approve once' }).click({ timeout: LONG });
  await status('Done');
  await same('trying again works');
}

async function steered() {
  await page.getByRole('textbox', { name: 'Message' }).fill('Count slowly, once more.');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Approve once' }).waitFor({ timeout: LONG });
  await page.getByRole('textbox', { name: 'Message' }).fill('Only to three.\nThree is enough.');
  await page.keyboard.press('Enter');
  await page.getByText('reached the running agent').waitFor({ timeout: LONG });
  await page.getByRole('button', { name: 'Approve once' }).click();
  await status('Done');
  await page.getByRole('textbox', { name: 'Message' }).fill('x'.repeat(100_001));
  await page.getByText('A message has at most 100,000 characters').waitFor();
  await page.getByRole('textbox', { name: 'Message' }).fill('');
  await ok('messages begin runs, steer them, and have a limit');
}

async function imported() {
  const session = fake.world.newSession({
    id: fake.world.id('session'),
    title: 'Fix the failing parser test',
    origin: 'IMPORT',
    workspaceId: fake.world.id('workspace'),
    createdAt: new Date().toISOString(),
    updatedAt: new Date().toISOString(),
    approvalPolicy: 'STANDARD',
    pendingApprovals: 0,
    importSource: { format: 'swe-agent', fileName: 'parser.traj', sha256: 'sha256:0', bytes: 1 },
  });
  fake.world.append(session, null, 'session.started', {
    session_id: session.id,
    title: session.title,
    owner_user_id: 'user:1',
    workspace_id: session.workspaceId,
    origin: 'import',
    approval_policy: 'standard',
    import_source: { format: 'swe-agent', file_name: 'parser.traj', sha256: 'sha256:0', bytes: 1 },
  });
  await page
    .getByRole('link', { name: /Fix the failing parser test/ })
    .first()
    .click({ timeout: LONG });
  await page.getByText('it is a record of what happened elsewhere').waitFor();
  await page.getByText('imported · swe-agent').waitFor();
  await picture('imported');
  await ok('an imported session is marked and takes no messages');
}

async function unknown() {
  await page.goto(`${fake.origin}/s/session:01900000-0000-7000-8000-000000000000`);
  await page.getByRole('heading', { name: 'This session cannot be shown' }).waitFor({ timeout: LONG });
  await ok('an unknown session is said to be unknown');
}

async function answer(button, yes) {
  await page.getByRole('button', { name: button, exact: true }).click({ timeout: LONG });
  await page.getByRole('dialog').getByRole('button', { name: yes, exact: true }).click();
}

async function quarantined() {
  await page.getByRole('link', { name: 'Projections' }).click();
  await answer('Retry: event #1 in timeline', 'Try again');
  await page.getByText('the event still cannot be taken in').waitFor({ timeout: LONG });
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.getByRole('button', { name: 'Skip: event #1 in timeline' }).click();
  assert(await page.getByRole('button', { name: 'Leave it out' }).isDisabled(), 'a skip needs a reason');
  await page.getByLabel('Why may it be left out?').fill('It was recorded twice.');
  await picture('skipping');
  await page.getByRole('button', { name: 'Leave it out' }).click();
  await page.getByRole('button', { name: 'Skip: event #1 in timeline' }).waitFor({ state: 'detached', timeout: LONG });
  await picture('quarantine');
  await ok('what is in quarantine is tried again, and left out with a reason');
}

async function givenUp() {
  await answer('Rebuild: runs', 'Rebuild');
  await page.getByRole('progressbar', { name: 'Rebuild of runs' }).waitFor({ timeout: LONG });
  await picture('rebuilding');
  await answer('Cancel: runs', 'Cancel the rebuild');
  await page.getByText('runs: build 2 was cancelled; build 1 goes on serving.').waitFor({ timeout: LONG });
  await ok('a rebuild is cancelled, and what serves goes on');
}

async function serverGone() {
  await run('Count slowly to five.');
  await page.getByRole('button', { name: 'Approve once' }).waitFor({ timeout: LONG });
  const port = Number(new URL(fake.origin).port);
  fake.stop();
  await page.getByText(/Reconnecting/).waitFor({ timeout: LONG });
  await page.getByRole('textbox', { name: 'Message' }).fill('Are you there?');
  await page.keyboard.press('Enter');
  await page.getByText('Not sent yet: the server did not answer').waitFor({ timeout: LONG });
  assert.equal(await page.getByRole('textbox', { name: 'Message' }).inputValue(), 'Are you there?');
  await picture('server-gone');
  await ok('a server that is gone is said to be gone, and the text is kept');
  fake = await startFake({ ...options, port, faults: [] });
  await page.getByText('Live', { exact: true }).waitFor({ timeout: LONG });
  await ok('and found again');
}
