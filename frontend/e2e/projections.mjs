// The page of read models: one is made anew and switched to, and the switch is undone.

/** Rebuilds `timeline` and goes back. `check` notes what held. */
export async function projections(page, { check, patience }) {
  await page.getByRole('link', { name: 'Projections' }).click();
  await page.getByRole('heading', { name: 'Projections', level: 1 }).waitFor({ timeout: patience });
  await serving(page, 1).waitFor({ timeout: patience });
  await page.getByText('Nothing is in quarantine').waitFor({ timeout: patience });
  check(
    await page.evaluate(() => document.activeElement === document.querySelector('main h1')),
    'the page of projections begins at its heading',
  );

  await order(page, 'Rebuild: timeline', 'Rebuild');
  await page.getByText('timeline: build 2 serves in place of build 1.').waitFor({ timeout: patience });
  await serving(page, 2).waitFor({ timeout: patience });
  check(true, 'a rebuild of timeline is switched to');

  await order(page, 'Undo: timeline', 'Go back');
  await page.getByText('timeline: build 1 serves in place of build 2.').waitFor({ timeout: patience });
  await serving(page, 1).waitFor({ timeout: patience });
  check(true, 'and undone');
}

function serving(page, number) {
  return page.getByRole('row', { name: new RegExp(`^timeline timeline_v\\d+_b${number} serving`) });
}

/** Presses a button with the keyboard, reads the question and says yes. */
async function order(page, button, yes) {
  await page.getByRole('button', { name: button, exact: true }).focus();
  await page.keyboard.press('Enter');
  const question = page.getByRole('dialog');
  await question.getByRole('button', { name: yes, exact: true }).click();
  await question.waitFor({ state: 'hidden' });
}
