"""Servers that answer as Google Cloud KMS, Google Secret Manager and Vault do, by their published APIs."""

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Answer = tuple[int, Any]
Handle = Callable[[str, str, dict[str, Any], dict[str, str]], Answer]


class Service:
    """Answers each request with what ``handle`` returns for its method, path, JSON body and headers (in lower case)."""

    def __init__(self, handle: Handle) -> None:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, document = handle(self.command, self.path, json.loads(raw or b"{}"), headers)
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _answer

            def log_message(self, *_: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Key:
    """One symmetric key with associated data, which is what both services hold."""

    def __init__(self) -> None:
        self._aead = AESGCM(AESGCM.generate_key(256))

    def encrypt(self, data: str, associated: str) -> str:
        nonce = b"\x00" * 12
        sealed = self._aead.encrypt(nonce, base64.b64decode(data), base64.b64decode(associated))
        return base64.b64encode(sealed).decode()

    def decrypt(self, data: str, associated: str) -> str:
        opened = self._aead.decrypt(b"\x00" * 12, base64.b64decode(data), base64.b64decode(associated))
        return base64.b64encode(opened).decode()


class GoogleCloud:
    """``cryptoKeys.encrypt``/``decrypt``, ``secrets.versions.access`` and the metadata server's token."""

    TOKEN = "ya29.metadata-token"

    def __init__(self) -> None:
        self.keys: dict[str, _Key] = {}
        self.secrets: dict[str, str] = {}
        self.asked_for_tokens = 0

    def add_key(self, name: str) -> None:
        self.keys[name] = _Key()

    def __call__(self, method: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        if path.startswith("/computeMetadata/"):
            self.asked_for_tokens += 1
            if headers.get("metadata-flavor") != "Google":
                return 403, {}
            return 200, {"access_token": self.TOKEN, "expires_in": 3599, "token_type": "Bearer"}
        if headers.get("authorization") != f"Bearer {self.TOKEN}":
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        name, _, verb = path.removeprefix("/v1/").partition(":")
        if verb == "access":
            if name not in self.secrets:
                return 404, {"error": {"status": "NOT_FOUND"}}
            return 200, {"name": name, "payload": {"data": base64.b64encode(self.secrets[name].encode()).decode()}}
        if name not in self.keys:
            return 404, {"error": {"status": "NOT_FOUND"}}
        associated = body.get("additionalAuthenticatedData", "")
        if verb == "encrypt":
            return 200, {"name": name, "ciphertext": self.keys[name].encrypt(body["plaintext"], associated)}
        try:
            return 200, {"plaintext": self.keys[name].decrypt(body["ciphertext"], associated)}
        except InvalidTag:
            return 400, {"error": {"status": "INVALID_ARGUMENT"}}


class Vault:
    """Transit's encrypt and decrypt, and KV version 2."""

    TOKEN = "hvs.CAESIJtest"

    def __init__(self) -> None:
        self.keys: dict[str, _Key] = {}
        self.secrets: dict[str, dict[str, str]] = {}

    def add_key(self, name: str) -> None:
        self.keys[name] = _Key()

    def __call__(self, method: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        if headers.get("x-vault-token") != self.TOKEN:
            return 403, {"errors": ["permission denied"]}
        _, _, mount, verb, *rest = path.split("/")
        name = "/".join(rest)
        if mount == "transit" and method == "POST":
            return self._transit(verb, name, body)
        if verb == "data" and f"{mount}/{name}" in self.secrets:
            return 200, {"data": {"data": self.secrets[f"{mount}/{name}"], "metadata": {"version": 1}}}
        return 404, {"errors": []}

    def _transit(self, verb: str, name: str, body: dict[str, Any]) -> Answer:
        if name not in self.keys:
            return 404, {"errors": []}
        associated = body.get("associated_data", "")
        if verb == "encrypt":
            return 200, {"data": {"ciphertext": "vault:v1:" + self.keys[name].encrypt(body["plaintext"], associated)}}
        try:
            sealed = body["ciphertext"].removeprefix("vault:v1:")
            return 200, {"data": {"plaintext": self.keys[name].decrypt(sealed, associated)}}
        except (InvalidTag, ValueError):
            return 400, {"errors": ["cipher: message authentication failed"]}
