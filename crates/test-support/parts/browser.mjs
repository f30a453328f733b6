// A browser without a window: follows redirects, keeps cookies, and fills in the forms of a login.
// Loopback over plain HTTP only.
//
// node browser.mjs [--stop | --ingress PORT] URL
//   --stop          prints the callback URL and does not go there
//   --ingress PORT  goes there by way of 127.0.0.1:PORT, as an ingress forwards it
import http from 'node:http';

const words = process.argv.slice(2);
const stops = words[0] === '--stop';
const ingress = words[0] === '--ingress' ? Number(words[1]) : null;
const start = new URL(words.at(-1));
const callback = start.searchParams.get('redirect_uri');
const answers = { login: 'alice', user: 'alice', username: 'alice', password: 'correct horse battery' };
const cookies = new Map();

function send(url, { port = url.port, form } = {}) {
  const jar = cookies.get(url.host) ?? cookies.set(url.host, new Map()).get(url.host);
  const headers = { host: url.host, cookie: [...jar].map((pair) => pair.join('=')).join('; '), accept: 'text/html' };
  if (form) headers['content-type'] = 'application/x-www-form-urlencoded';
  if (form) headers.referer = url.href;
  return new Promise((done, failed) => {
    const options = { host: '127.0.0.1', port, path: url.pathname + url.search, method: form ? 'POST' : 'GET', headers };
    const request = http.request(options, (response) => {
      for (const cookie of response.headers['set-cookie'] ?? []) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
        jar.set(name, value);
      }
      let body = '';
      response.setEncoding('utf8').on('data', (piece) => { body += piece; });
      response.on('end', () => done({ url, status: response.statusCode, location: response.headers.location, body }));
    });
    request.on('error', failed);
    request.end(form?.toString());
  });
}

const plain = (text) => text.replaceAll('&amp;', '&').replaceAll('&#34;', '"').replaceAll('&#39;', "'");
const attribute = (tag, name) => {
  const found = new RegExp(`\\s${name}\\s*=\\s*"([^"]*)"`).exec(tag);
  return found && plain(found[1]);
};

// The first form that is posted, filled in; of several buttons the one that accepts.
function filled({ url, body }) {
  for (const [whole, head] of body.matchAll(/(<form[^>]*>)[^]*?<\/form>/g)) {
    if (attribute(head, 'method')?.toLowerCase() !== 'post') continue;
    const form = new URLSearchParams();
    for (const [tag] of whole.matchAll(/<input[^>]*>/g)) {
      const name = attribute(tag, 'name');
      if (!name || ['submit', 'checkbox'].includes(attribute(tag, 'type'))) continue;
      form.set(name, answers[name] ?? attribute(tag, 'value') ?? '');
    }
    const buttons = [...whole.matchAll(/<(?:button|input)[^>]*type="submit"[^>]*>/g)].map(([tag]) => tag);
    const button = buttons.find((tag) => attribute(tag, 'value') === 'accept') ?? buttons[0] ?? '';
    if (attribute(button, 'name')) form.set(attribute(button, 'name'), attribute(button, 'value') ?? '');
    return { to: new URL(attribute(head, 'action') || url.href, url), form };
  }
  throw new Error(`no form at ${url.origin}${url.pathname}`);
}

let page = await send(start);
for (let n = 0; ; n += 1) {
  if (n > 20) throw new Error(`the login does not end; last at ${page.url.pathname}`);
  if (page.location) {
    const next = new URL(page.location, page.url);
    if (callback && next.href.startsWith(callback)) {
      if (stops) console.log(next.href);
      else page = await send(next, ingress ? { port: ingress } : {});
      break;
    }
    page = await send(next);
  } else if (page.status === 200) {
    const { to, form } = filled(page);
    page = await send(to, { form });
  } else throw new Error(`HTTP ${page.status} at ${page.url.pathname}: ${page.body.slice(0, 300)}`);
}
