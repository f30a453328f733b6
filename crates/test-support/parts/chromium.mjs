// Chromium without a window, which goes through the pages of a login as a user does.
//
// node chromium.mjs NPM_FOLDER CHROMIUM URL
import { createRequire } from 'node:module';

const [, , folder, executablePath, url] = process.argv;
const { chromium } = createRequire(`${folder}/`)('playwright-core');
const callback = new URL(url).searchParams.get('redirect_uri');
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
  '--disable-background-networking', '--disable-component-update'];

const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
page.setDefaultTimeout(30_000);
// Pages ask for fonts elsewhere; only this machine is there.
await page.route('**/*', (route) =>
  (new URL(route.request().url()).hostname === '127.0.0.1' ? route.continue() : route.abort()));
await page.goto(url);
for (let n = 0; !page.url().startsWith(callback); n += 1) {
  if (n > 10) throw new Error(`the login does not end; last at ${new URL(page.url()).pathname}`);
  for (const [name, text] of [['login', 'alice'], ['password', 'correct horse battery']]) {
    const field = page.locator(`input[name=${name}]`);
    if (await field.count()) await field.fill(text);
  }
  await Promise.all([page.waitForEvent('load'), page.locator('[type=submit]').first().click()]);
}
console.log((await page.textContent('body')).trim());
await browser.close();
