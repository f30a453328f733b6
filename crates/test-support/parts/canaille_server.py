"""canaille, an OpenID provider from PyPI with real pages, and a FastMCP server that asks it about tokens.

The user is `alice`. Prints `ready <issuer> <mcp url>` and ends with its stdin. Its database is the
folder that is given.
"""

import asyncio
import os
import socket
import sys
import threading

import httpx
import uvicorn
from canaille import create_app
from canaille.app import models
from fastmcp import FastMCP
from fastmcp.server.auth.auth import AccessToken, RemoteAuthProvider, TokenVerifier
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, listener.getsockname()[1]


listener, port = listen()
issuer = f"http://127.0.0.1:{port}"
app = create_app(
    {
        "SECRET_KEY": "only for tests",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "sql", "SMTP": None},
        "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{sys.argv[1]}/canaille.sqlite"},
        "CANAILLE_OIDC": {
            "DYNAMIC_CLIENT_REGISTRATION_OPEN": True,
            "REQUIRE_NONCE": False,
            # Nobody is trusted: the page of consent comes.
            "TRUSTED_DOMAINS": [],
            "ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)],
        },
    },
    init_backend=True,
)
with app.app_context():
    app.backend.install(app)
    with app.backend.session():
        alice = models.User(
            user_name="alice",
            password="correct horse battery",
            family_name="Liddell",
            formatted_name="Alice Liddell",
            emails=["alice@example.com"],
        )
        app.backend.save(alice)


class AskTheProvider(TokenVerifier):
    """A token is good when the provider says whose it is."""

    async def verify_token(self, token):
        async with httpx.AsyncClient() as http:
            headers = {"authorization": f"Bearer {token}"}
            answer = await http.get(f"{issuer}/oauth/userinfo", headers=headers)
        if answer.status_code != 200:
            return None
        return AccessToken(token=token, client_id="", scopes=["openid"])


mcp_listener, mcp_port = listen()
origin = f"http://127.0.0.1:{mcp_port}"
verifier = AskTheProvider(required_scopes=["openid"])
mcp = FastMCP("guarded", auth=RemoteAuthProvider(verifier, [issuer], origin))


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


provider = make_server("127.0.0.1", port, app, threaded=True, fd=listener.fileno())
threading.Thread(target=provider.serve_forever, daemon=True).start()
threading.Thread(target=end_with_stdin, daemon=True).start()
server = uvicorn.Server(uvicorn.Config(mcp.http_app(), log_level="error"))
# The sockets listen already: whoever comes now waits for the application.
print(f"ready {issuer} {origin}/mcp", flush=True)
asyncio.run(server.serve(sockets=[mcp_listener]))
