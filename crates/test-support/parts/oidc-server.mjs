// An OpenID-certified authorization server (oidc-provider) and the MCP reference server behind the
// bearer check of the MCP SDK, both on loopback. Prints `ready <issuer> <mcp url>`, ends with its stdin.
//
// node oidc-server.mjs NPM_FOLDER [JSON]   with { pages, clients }
//   pages    true: the user logs in and consents on pages; else he is logged in and says yes
//   clients  clients that were registered by hand, in words of the provider
//
// /approve?user_code=… enters a device code. After the line `steps` on stdin each token request stops
// twice, at `asked` and at `granted` (the tokens are made and not sent), until a line `go` comes.
// What it issues, and what clients show it, it tells before it answers: `secret …`, for the search of outputs.
import http from 'node:http';
import readline from 'node:readline';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The script lies in the repository, the packages in the folder that is given.
const [, , folder, json] = process.argv;
const options = JSON.parse(json ?? null) ?? {};
const { resolve } = createRequire(`${folder}/`);
const part = (path) => import(pathToFileURL(`${folder}/node_modules/${path}`));
const sdk = (path) => part(`@modelcontextprotocol/sdk/dist/esm/server/${path}.js`);
const { default: Provider } = await import(pathToFileURL(resolve('oidc-provider')));
const { default: express } = await import(pathToFileURL(resolve('express')));
const { InvalidTokenError } = await sdk('auth/errors');
const { requireBearerAuth } = await sdk('auth/middleware/bearerAuth');
const { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } = await sdk('auth/router');
const { StreamableHTTPServerTransport } = await sdk('streamableHttp');
const { createServer } = await part('@modelcontextprotocol/server-everything/dist/server/index.js');

async function listen() {
  const server = http.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return [server, `http://127.0.0.1:${server.address().port}`];
}

const [authorization, issuer] = await listen();
const [protectedServer, origin] = await listen();
const resource = `${origin}/mcp`;

const provider = new Provider(issuer, {
  clients: options.clients ?? [],
  scopes: ['openid', 'offline_access', 'mcp:tools'],
  clientDefaults: {
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  },
  features: {
    devInteractions: { enabled: options.pages === true },
    registration: { enabled: true },
    revocation: { enabled: true },
    deviceFlow: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, asked) => {
        if (asked !== resource) throw new Error('another resource');
        return { scope: 'mcp:tools', audience: resource, accessTokenTTL: 3600, accessTokenFormat: 'opaque' };
      },
    },
  },
  ...(options.pages ? {} : { interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` } }),
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

const SECRETS = ['access_token', 'refresh_token', 'client_secret', 'registration_access_token',
  'code', 'code_verifier', 'device_code', 'client_assertion'];

function tell(fields) {
  for (const name of SECRETS) {
    if (typeof fields?.[name] === 'string') console.log(`secret ${fields[name]}`);
  }
}

provider.use(async (ctx, next) => {
  await next();
  tell(ctx.body);
  tell(ctx.oidc?.params);
  const location = ctx.response.get('location');
  if (location) tell(Object.fromEntries(new URL(location, issuer).searchParams));
});

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
  if (options.pages || !ctx.path.startsWith('/interaction/')) return next();
  const { prompt, params } = await provider.interactionDetails(ctx.req, ctx.res);
  const result = prompt.name === 'login'
    ? { login: { accountId: 'user' } }
    : { consent: { grantId: await granted(params.client_id, params.scope) } };
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
});
authorization.on('request', provider.callback());

const verifier = {
  async verifyAccessToken(token) {
    const known = await provider.AccessToken.find(token);
    if (!known?.isValid || known.aud !== resource) throw new InvalidTokenError('not a token for this server');
    return { token, clientId: known.clientId, scopes: known.scope.split(' '), expiresAt: known.exp };
  },
};
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const resourceServerUrl = new URL(resource);
const sessions = new Map();
const app = express();
app.use(express.json());
app.use(mcpAuthMetadataRouter({
  oauthMetadata: metadata, resourceServerUrl, scopesSupported: ['mcp:tools'], resourceName: 'everything',
}));
app.use('/mcp', requireBearerAuth({
  verifier,
  requiredScopes: ['mcp:tools'],
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resourceServerUrl),
}));
app.all('/mcp', async (request, response) => {
  let transport = sessions.get(request.headers['mcp-session-id']);
  if (!transport && request.body?.method === 'initialize') {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    await createServer().server.connect(transport);
  }
  if (transport) await transport.handleRequest(request, response, request.body);
  else response.status(404).end();
});
protectedServer.on('request', app);

console.log(`ready ${issuer} ${resource}`);
