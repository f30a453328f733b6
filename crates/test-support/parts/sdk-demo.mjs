// The example server of the MCP SDK with its own authorization server: no refresh tokens, and the
// user always says yes. Prints `ready <mcp url>` and ends with its stdin.
//
// node sdk-demo.mjs NPM_FOLDER
import net from 'node:net';
import { pathToFileURL } from 'node:url';

// It takes ports and does not choose them: these were free a moment ago.
async function freePort() {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return String(port);
}

process.env.MCP_PORT = await freePort();
process.env.MCP_AUTH_PORT = await freePort();
process.argv.push('--oauth', '--oauth-strict');
// It says when it listens, and its requests, which nobody reads here.
const say = console.log;
let nListening = 0;
console.log = (text) => {
  if (/listening on port/.test(text) && ++nListening === 2) say(`ready http://localhost:${process.env.MCP_PORT}/mcp`);
};
process.stdin.on('end', () => process.exit(0)).resume();
const examples = `${process.argv[2]}/node_modules/@modelcontextprotocol/sdk/dist/esm/examples/server`;
await import(pathToFileURL(`${examples}/simpleStreamableHttp.js`));
