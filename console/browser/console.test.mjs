// The page as its users see it: a real demo, a real Chromium.
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { chromium } from 'playwright-core';

import { startDemo } from './demo.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const { ARTEFACTS, CHROMIUM } = process.env;
/** A busy machine gets more than it needs; a killed part's group more than its session. */
const PATIENCE = 30_000;
const RACE = 120_000;
const NARROW = { width: 360, height: 740 };
const WIDE = { width: 1440, height: 900 };

let demo;
let browser;
let page;
/** What no page may do: complain, fail, or ask somebody else. */
let complaints;

before(async () => {
  await mkdir(ARTEFACTS, { recursive: true });
  demo = await startDemo();
  browser = await chromium.launch({ executablePath: CHROMIUM });
});

after(async () => {
  await browser?.close();
  assert.equal(await demo?.stop(), 0, 'the demo stops in order');
});

beforeEach(async () => {
  complaints = [];
  await open({ viewport: WIDE });
});

afterEach(async (test) => {
  await page.screenshot({ path: join(ARTEFACTS, `${test.name.replaceAll(/\W+/g, '-')}.png`), fullPage: true });
  await page.context().close();
  assert.deepEqual(complaints, []);
});

async function open(options) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(PATIENCE);
  page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${demo.address}/`)) complaints.push(`asks ${request.url()}`);
  });
  await page.goto(`${demo.address}/`);
  await allIsWell();
}

async function allIsWell() {
  await until('all is well', async () => {
    const verdict = await page.locator('#verdict').textContent();
    return verdict === 'Right and fast' || verdict;
  });
}

const product = (name) => page.locator('#products > li').filter({ hasText: name });

async function stock(name) {
  const words = await product(name).locator('.stock').textContent();
  return words === 'sold out' ? 0 : Number(words.replace(' in stock', '').replaceAll(',', ''));
}

async function order(name, quantity) {
  await product(name).getByRole('spinbutton').fill(String(quantity));
  await product(name).getByRole('button', { name: 'Order' }).click();
  await page.getByText(`Order of ${quantity} × ${name}:`).waitFor();
}

/** Waits for what a function of the page says. */
async function until(what, probe, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  let last;
  while (Date.now() < deadline) {
    last = await probe();
    if (last === true) return;
    await page.waitForTimeout(50);
  }
  assert.fail(`${what}: not in time; at last ${JSON.stringify(last)}`);
}

const box = (id) => page.locator(`#box-${id}`);

async function burstIs(count) {
  await page.getByText(`${count} of ${count} acknowledged`).waitFor();
}

async function nothingIsOnItsWay() {
  await page.getByText('Nothing is on its way.').waitFor();
}

async function allInvariantsHold() {
  await nothingIsOnItsWay();
  assert.equal(await page.locator('#proof > li').count(), 6);
  assert.deepEqual(await page.locator('#proof .offenders li').allTextContents(), []);
}

test('an order placed in the page is confirmed, and its stock falls', async () => {
  const before = await stock('Espresso beans');
  await order('Espresso beans, 1 kg', 3);
  await page.getByText('Order of 3 × Espresso beans, 1 kg: CONFIRMED').waitFor();
  await until('stock falls', async () => (await stock('Espresso beans')) === before - 3 || stock('Espresso beans'));
  const latest = page.locator('#orders > li').first();
  await latest.getByText('CONFIRMED').waitFor();
  for (const step of ['committed', 'applied', 'visible']) await latest.getByText(new RegExp(`${step} [\\d.,]+ m?s`)).waitFor();
});

test('what is not in stock is rejected', async () => {
  await order('Limited mug', 2);
  await page.getByText('Order of 2 × Limited mug: REJECTED (OUT_OF_STOCK)').waitFor();
  assert.equal(await stock('Limited mug'), 1);
});

test('what breaks a rule is refused in the words of the service', async () => {
  const quantity = product('Paper filters').getByRole('spinbutton');
  // Past the page's own check, as a browser without it would.
  await quantity.evaluate((input) => { input.max = 99_999; });
  await quantity.fill('10001');
  await product('Paper filters').getByRole('button', { name: 'Order' }).click();
  await page.getByText(/Not done: qty .*10,?000/).waitFor();
  complaints = complaints.filter((text) => !text.includes('422'));
});

test('a cancelled order gives its stock back', async () => {
  const before = await stock('Pour-over kettle');
  await order('Pour-over kettle', 2);
  const latest = page.locator('#orders > li').first();
  await latest.getByText('CONFIRMED').waitFor();
  await latest.getByRole('button', { name: 'Cancel' }).click();
  await latest.getByText('CANCELLED').waitFor();
  assert.ok(await latest.evaluate((order) => order === document.activeElement), 'the focus stays at the order');
  await until('stock comes back', async () => (await stock('Pour-over kettle')) === before || stock('Pour-over kettle'));
});

test('the keyboard is enough', async () => {
  await product('Paper filters').getByRole('spinbutton').focus();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('4');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Order');
  await page.keyboard.press('Enter');
  await page.getByText('Order of 4 × Paper filters, 100: CONFIRMED').waitFor();
  // Pictures that come twice a second must not take the focus away.
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Order');
});

test('a burst is acknowledged, proven, and leaves the page responsive', async () => {
  const gap = page.evaluate(() => new Promise((resolve) => {
    let last = performance.now();
    let longest = 0;
    const frame = (now) => {
      longest = Math.max(longest, now - last);
      last = now;
      if (document.getElementById('burst-progress').value === 1) resolve(longest);
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }));
  await page.getByRole('button', { name: '1,000 orders' }).click();
  await box('order-service-1').getByText(/^\d{2,}\/s/).waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(ARTEFACTS, 'burst.png') });
  await burstIs('1,000');
  const longest = await gap;
  assert.ok(longest < 1_000, `the page stood still for ${longest} ms`);
  await allInvariantsHold();
  const checked = await page.locator('#proof > li').first().locator('.count').textContent();
  assert.ok(Number.parseInt(checked.replaceAll(',', ''), 10) >= 1_000, checked);
});

test('a killed catalog-service shows, and recovers without a loss', async () => {
  await page.getByRole('button', { name: '1,000 orders' }).click();
  await page.getByRole('button', { name: 'Kill catalog-service' }).click();
  const killed = Date.now();
  await box('catalog-service').getByText('not running').waitFor();
  assert.ok(Date.now() - killed < 5_000, 'it is seen soon');
  await page.getByText(/but .*catalog-service.* not running/).waitFor();
  await burstIs('1,000');
  await page.screenshot({ path: join(ARTEFACTS, 'killed.png') });
  await page.getByRole('button', { name: 'Start catalog-service' }).click();
  await box('catalog-service').getByText('running', { exact: true }).waitFor();
  await allInvariantsHold();
  await allIsWell();
});

test('orders are placed on the other instance while one is killed', async () => {
  await page.getByRole('button', { name: '1,000 orders' }).click();
  await page.getByRole('button', { name: 'Kill order-service-2' }).click();
  await box('order-service-2').getByText('not running').waitFor();
  await burstIs('1,000');
  await page.getByRole('button', { name: 'Start order-service-2' }).click();
  await allInvariantsHold();
  await allIsWell();
});

test('a killed or paused sink is made up for', async () => {
  await page.getByRole('button', { name: 'Pause sink' }).click();
  await box('sink').getByText('paused').first().waitFor();
  await page.getByRole('button', { name: '100 orders', exact: true }).click();
  await burstIs('100');
  await page.getByText(/[1-9]\d* decided and not yet settled/).waitFor();
  await page.getByRole('button', { name: 'Resume sink' }).click();
  await allInvariantsHold();
  await page.getByRole('button', { name: 'Kill sink' }).click();
  await box('sink').getByText('not running').waitFor();
  await page.getByRole('button', { name: '10 orders', exact: true }).click();
  await burstIs('10');
  await page.getByRole('button', { name: 'Start sink' }).click();
  await allInvariantsHold();
  await allIsWell();
});

test('the naive twin breaks what the pair keeps', async () => {
  await page.getByRole('button', { name: 'Run both' }).click();
  const cells = async (column) => (await page.locator(`#score tbody td:nth-child(${column})`).allTextContents()).map((text) => Number(text.replaceAll(',', '')));
  const running = page.locator('#race-message', { hasText: 'Running' });
  await running.waitFor();
  await until('both are counted', async () => { const found = await cells(3); return (found.length === 5 && !found.some(Number.isNaN)) || found; }, RACE);
  const [pair, naive] = [await cells(2), await cells(3)];
  assert.deepEqual(pair, [1000, 0, 0, 0, 0]);
  const [acknowledged, lost, doubled, oversold] = naive;
  assert.ok(acknowledged > 0 && lost + doubled > 0 && oversold > 0, `${naive}`);
  await running.waitFor({ state: 'hidden' });
  await page.locator('#race').screenshot({ path: join(ARTEFACTS, 'race.png') });
  await allInvariantsHold();
});

test('a broken record becomes a dead letter that says why, and is not put back', async () => {
  await page.getByRole('button', { name: 'Send a broken record' }).click();
  const letter = page.locator('#letters > li').first();
  await letter.getByText('not the JSON of the contract').waitFor();
  await letter.getByText('not an id').waitFor();
  await letter.getByRole('button', { name: 'Replay' }).click();
  await page.getByText('Not done:').waitFor();
  complaints = complaints.filter((text) => !text.includes('422'));
});

for (const [size, viewport] of Object.entries({ narrow: NARROW, wide: WIDE })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`it is accessible, ${size} and ${colorScheme}`, async () => {
      await page.context().close();
      await open({ viewport, colorScheme });
      await page.locator('#letters > li').first().waitFor();
      await page.locator('#orders > li').first().waitFor();
      // Not as a script of the page: its policy has no place for others'.
      await page.evaluate(await readFile(AXE, 'utf8'));
      const { violations } = await page.evaluate(() => axe.run());
      const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      assert.deepEqual(told, []);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${overflow} px wider than the screen`);
    });
  }
}
