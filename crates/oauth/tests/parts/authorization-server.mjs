// An OpenID-certified authorization server (oidc-provider) and an MCP address that it protects, both
// on loopback, for tests/provider. Prints `ready <issuer> <mcp url>` and ends with its stdin.
//
// The user is logged in and says yes: /interaction answers at once, /approve enters a device code.
// After the line `steps` on stdin each token request stops twice, at `asked` and at `granted` (the
// tokens are made and not sent), until a line `go` comes.
import http from 'node:http';
import readline from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The script lies in the repository, the packages in the folder that is given.
const { resolve } = createRequire(`${process.argv[2]}/`);
const { default: Provider } = await import(pathToFileURL(resolve('oidc-provider')));
const tokenLife = Number(process.argv[3] ?? 3600);

async function listen() {
  const server = http.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return [server, `http://127.0.0.1:${server.address().port}`];
}

const [authorization, issuer] = await listen();
const [protectedServer, origin] = await listen();
const resource = `${origin}/mcp`;

const provider = new Provider(issuer, {
  scopes: ['openid', 'offline_access', 'mcp:tools'],
  clientDefaults: {
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    deviceFlow: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, asked) => {
        if (asked !== resource) throw new Error('another resource');
        return { scope: 'mcp:tools', audience: resource, accessTokenTTL: tokenLife, accessTokenFormat: 'opaque' };
      },
    },
  },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  cookies: { keys: ['only for tests'] },
  findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
});

async function granted(clientId, scope) {
  const grant = new provider.Grant({ accountId: 'user', clientId });
  grant.addOIDCScope(scope ?? '');
  grant.addResourceScope(resource, 'mcp:tools');
  return grant.save();
}

const input = readline.createInterface({ input: process.stdin });
let hasSteps = false;
let proceed = () => {};
input.on('line', (line) => (line === 'steps' ? (hasSteps = true) : proceed()));
input.on('close', () => process.exit(0));

async function step(name) {
  const told = new Promise((done) => { proceed = done; });
  console.log(`step ${name}`);
  await told;
}

provider.use(async (ctx, next) => {
  if (hasSteps && ctx.path === '/token') {
    await step('asked');
    await next();
    return step('granted');
  }
  if (ctx.path === '/approve') {
    const code = await provider.DeviceCode.findByUserCode(ctx.query.user_code.replace('-', ''));
    const { scope } = code.params;
    const grantId = await granted(code.clientId, scope);
    Object.assign(code, {
      accountId: 'user', grantId, scope, resource, acr: '0', authTime: Math.floor(Date.now() / 1000),
    });
    await code.save();
    ctx.body = 'approved';
    return;
  }
  if (!ctx.path.startsWith('/interaction/')) return next();
  const { prompt, params } = await provider.interactionDetails(ctx.req, ctx.res);
  const result = prompt.name === 'login'
    ? { login: { accountId: 'user' } }
    : { consent: { grantId: await granted(params.client_id, params.scope) } };
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
});
authorization.on('request', provider.callback());

protectedServer.on('request', async (request, response) => {
  const json = (status, body, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
  if (request.url === '/.well-known/oauth-protected-resource/mcp') {
    return json(200, { resource, authorization_servers: [issuer], scopes_supported: ['mcp:tools'] });
  }
  const token = request.headers.authorization?.replace(/^Bearer /, '');
  const known = token && (await provider.AccessToken.find(token));
  if (known?.isValid && known.aud === resource) return json(200, { scope: known.scope });
  const document = `${origin}/.well-known/oauth-protected-resource/mcp`;
  return json(401, {}, { 'www-authenticate': `Bearer resource_metadata="${document}"` });
});

console.log(`ready ${issuer} ${resource}`);
