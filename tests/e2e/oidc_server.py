"""An identity provider that speaks OpenID Connect, with a few accounts and no passwords.

    python tests/e2e/oidc_server.py CLIENT_ID CLIENT_SECRET

Serves 127.0.0.1, prints its port, and stops with its standard input. Discovery, authorization code with PKCE,
token (RS256), keys and logout, as OpenID Connect Core 1.0 and RFC 7636 have them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

ACCOUNTS: dict[str, dict[str, Any]] = {
    "ada": {"name": "Ada Lovelace", "email": "ada@school.example", "email_verified": True},
    "bob": {"name": "Bob Host", "email": "Bob@School.example", "email_verified": True},
    "mallory": {"name": "bob@school.example", "email": "bob@school.example", "email_verified": False},
}
KEY = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"}, private=True)


class Provider(BaseHTTPRequestHandler):
    """One request. What was asked for with a code is kept in the server's `codes`."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, _first(urlsplit(self.path).query)
        if path == "/.well-known/openid-configuration":
            self._send_json(self.server.metadata)
        elif path == "/jwks":
            self._send_json({"keys": [KEY.as_dict(private=False)]})
        elif path == "/authorize":
            self._choose(asked)
        elif path == "/chosen":
            self._redirect(asked["redirect_uri"], code=self._code(asked), state=asked["state"])
        elif path == "/logout":
            self._redirect(asked["post_logout_redirect_uri"])
        else:
            self._send(404, "text/plain", b"not here")

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if given != f"{self.server.client_id}:{self.server.client_secret}":
            self._send_json({"error": "invalid_client"}, 401)
            return
        posted = _first(text)
        asked = self.server.codes.pop(posted.get("code", ""), None)
        verifier = base64.urlsafe_b64encode(hashlib.sha256(posted.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or asked["redirect_uri"] != posted["redirect_uri"]
            or asked["code_challenge"] != verifier.decode().rstrip("=")
        ):
            self._send_json({"error": "invalid_grant"}, 400)
            return
        self._send_json({"access_token": "opaque", "token_type": "Bearer", "id_token": self._id_token(asked)})

    def _choose(self, asked: dict[str, str]) -> None:
        """The page on which somebody says who they are."""
        if asked["client_id"] != self.server.client_id or asked["code_challenge_method"] != "S256":
            self._send(400, "text/plain", b"not for this client")
            return
        addresses = {who: escape("/chosen?" + urlencode({**asked, "who": who})) for who in ACCOUNTS}
        links = "".join(f'<p><a href="{address}">{who}</a></p>' for who, address in addresses.items())
        head = '<!DOCTYPE html><title>Who</title><link rel="icon" href="data:,"><h1>Who are you?</h1>'
        self._send(200, "text/html", f"{head}{links}".encode())

    def _code(self, asked: dict[str, str]) -> str:
        code = secrets.token_urlsafe(16)
        self.server.codes[code] = asked
        return code

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.server.issuer,
            "sub": f"id-of-{asked['who']}",
            "aud": self.server.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **ACCOUNTS[asked["who"]],
        }
        return jwt.encode({"alg": "RS256", "kid": "1"}, claims, KEY)

    def _redirect(self, address: str, **query: str) -> None:
        self.send_response(302)
        self.send_header("Location", f"{address}?{urlencode(query)}" if query else address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_json(self, data: object, status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(data).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """codes: what each code that has not been used was asked for with."""

    daemon_threads = True

    def __init__(self, client_id: str, client_secret: str) -> None:
        super().__init__(("127.0.0.1", 0), Provider)
        self.client_id, self.client_secret = client_id, client_secret
        self.codes: dict[str, dict[str, str]] = {}
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def metadata(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        here = self.issuer
        return {
            "issuer": here,
            "authorization_endpoint": f"{here}/authorize",
            "token_endpoint": f"{here}/token",
            "jwks_uri": f"{here}/jwks",
            "end_session_endpoint": f"{here}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }


def _first(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


if __name__ == "__main__":
    made = Server(*sys.argv[1:])
    threading.Thread(target=made.serve_forever, daemon=True).start()
    print(made.server_address[1], flush=True)
    sys.stdin.read()
