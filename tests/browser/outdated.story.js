/** Content that another user has changed: who is notified, and what happens when the older version is saved. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

const OUTDATED = 'outdated';

/** @param {() => import('./stage.js').Stage} stage */
export const outdatedContentStory = (stage) => describe('a contact that two people have open', () => {
  /** @type {import('./stage.js').Person} */
  let anna;
  /** @type {import('./people.js').Person} */
  let ben;

  before(async () => {
    [anna, ben] = await Promise.all([stage().people.signedIn('anna'), stage().colleagues.signedIn('ben')]);
  });
  after(() => Promise.all([anna, ben].map((person) => person?.leave())));

  it('is outdated for one user when the other saves, and is reloaded by the link in the notice', async () => {
    await anna.open('/contacts/1/edit');

    await ben.save(1, { Phone: '+44 20 7946 0199' });

    assert.equal(await anna.isTold(OUTDATED), 'Ben changed what you see here.');
    assert.equal(await anna.page.getByLabel('Phone').inputValue(), '+44 20 7946 0101');
    await anna.flashes(OUTDATED).getByRole('button', { name: 'Reload the page' }).click();
    await anna.page.getByText('Last saved by Ben').waitFor();
    assert.equal(await anna.page.getByLabel('Phone').inputValue(), '+44 20 7946 0199');
    assert.equal(await anna.flashes(OUTDATED).count(), 0);
  });

  it('is not reported to the user who saved it, in any tab', async (t) => {
    const otherTab = await anna.inAnotherTab();
    t.after(() => otherTab.close());
    await otherTab.open('/contacts/2');

    await anna.save(2, { Notes: 'Answers letters.' });
    await ben.save(2, { Notes: 'Answers letters on Mondays.' });

    // Events are ordered: if Anna's own change were reported, its notice would be the first and only one.
    assert.equal(await otherTab.isTold(OUTDATED), 'Ben changed what you see here.');
    assert.equal(await otherTab.flashes(OUTDATED).count(), 1);
  });

  it('is marked in the list, other contacts are not', async () => {
    await anna.open('/contacts');

    await ben.save(3, { Company: 'Loom & Card' });

    assert.equal(await anna.isTold(OUTDATED), 'Ben changed what you see here.');
    assert.deepEqual(await anna.page.locator('tr.outdated th a').allInnerTexts(), ['Blaise Pascal']);
  });

  it('is outdated when its company gets another name', async () => {
    await anna.open('/contacts/11');

    await ben.saveRecord('/companies/5', { Name: 'Loom & Cards' });

    assert.equal(await anna.isTold(OUTDATED), 'Ben changed what you see here.');
  });

  it('makes the list outdated when it is created and when it is deleted', async () => {
    await anna.open('/contacts');
    await ben.goto('/contacts/new');
    await ben.enter({ Name: 'Kathleen Booth' });
    await ben.submit();
    await ben.page.getByText('Kathleen Booth was added.').waitFor();
    assert.equal(await anna.isTold(OUTDATED), 'Ben changed what you see here.');

    await anna.open('/contacts');
    ben.page.once('dialog', (dialog) => dialog.accept());
    await ben.page.getByRole('button', { name: 'Delete this contact' }).click();
    await ben.page.getByText('Kathleen Booth was deleted.').waitFor();
    assert.equal(await anna.isTold(OUTDATED), 'Ben changed what you see here.');
  });

  it('refuses a save of the older version, shows both versions, and accepts it when it is confirmed', async () => {
    await anna.open('/contacts/4/edit');
    await ben.save(4, { Phone: '+44 20 7946 0144' });
    await anna.isTold(OUTDATED);

    // She ignores the notice.
    await anna.enter({ Company: 'Stored Programs' });
    await anna.submit();

    await anna.page.getByRole('heading', { name: 'Your changes were not saved' }).waitFor();
    assert.deepEqual(await anna.page.locator('.differences tbody tr').allInnerTexts(), [
      'Company\tAnalytical Engine Works\tStored Programs',
      'Phone\t+44 20 7946 0144\t+44 20 7946 0104',
    ]);
    await ben.goto('/contacts/4');
    await ben.page.getByText('Analytical Engine Works').waitFor();

    await anna.enter({ Phone: '+44 20 7946 0144' });
    await anna.page.getByRole('button', { name: 'Overwrite with mine' }).click();
    await anna.page.getByText('Your changes are saved.').waitFor();
    await ben.page.reload();
    await ben.page.getByText('Stored Programs').waitFor();
    await ben.page.getByText('+44 20 7946 0144').waitFor();
  });
});
