"""A Hugging Face Hub of this process, as far as pushing and pulling speak to it: repositories are dicts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"


class Hub:
    """What the server holds; tests look inside and break things."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, Any]] = {}
        """By "datasets/USER/NAME" or "models/USER/NAME": `refs` (branch or tag to commit), `commits` (to files)."""
        self.blobs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.uploads: list[str] = []
        """SHA-256 of what was sent."""
        self.downloads: list[str] = []
        self.fail_uploads = self.fail_downloads = -1
        """After so many of them the rest fail; -1: none."""
        self.url = ""

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        found = self.repos[repo]
        return dict(found["commits"][found["refs"].get(revision, revision)])

    def commit(self, repo: str, branch: str, files: dict[str, bytes]) -> str:
        found = self.repos[repo]
        oid = hashlib.sha1(f"{repo} {branch} {len(found['commits'])}".encode()).hexdigest()
        found["commits"][oid], found["refs"][branch] = files, oid
        return oid


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *arguments: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, value: Any = None, status: int = 200, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _error(self, status: int, code: str, words: str = "no") -> None:
        self._answer({"error": words}, status, X_Error_Code=code, X_Error_Message=words)

    def _any(self) -> None:
        body, path, hub = self._body(), unquote(urlsplit(self.path).path), self.hub
        hub.requests.append((self.command, path))
        writes = self.command in ("POST", "PUT", "DELETE") and path != "/api/validate-yaml"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if writes and not path.startswith("/upload/") and token != TOKEN:
            return self._error(401 if token != "hf_reader" else 403, "", "Invalid credentials")
        if path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('type', 'model')}s/{asked.get('organization') or 'user'}/{asked['name']}"
            if name in hub.repos:
                return self._answer({"url": f"{hub.url}/{name}"}, 409)
            hub.repos[name] = {"refs": {}, "commits": {}, "private": asked.get("visibility") == "private"}
            hub.commit(name, "main", {".gitattributes": b""})
            return self._answer({"url": f"{hub.url}/{name}", "name": name})
        if path.startswith("/upload/"):
            if hub.fail_uploads == len(hub.uploads):
                return self._error(400, "", "the disk is full")
            hub.blobs[path.split("/")[-1]] = body
            hub.uploads.append(hashlib.sha256(body).hexdigest())
            return self._answer({})
        found = re.match(r"/(?:api/)?(datasets/|models/)?([^/]+/[^/.]+)(?:\.git)?/(.*)$", path)
        if not found:
            return self._error(404, "RepoNotFound")
        name, rest = f"{found[1] or 'models/'}{found[2]}", found[3]
        if name not in hub.repos:
            return self._error(404, "RepoNotFound", "Repository not found")
        return self._repo(name, rest, body)

    def _repo(self, name: str, rest: str, body: bytes) -> None:
        hub, repo = self.hub, self.hub.repos[name]
        what, _, more = rest.partition("/")
        if rest == "info/lfs/objects/batch":
            objects = []
            for one in json.loads(body)["objects"]:
                action = {"upload": {"href": f"{hub.url}/upload/{one['oid']}"}}
                objects.append({**one, **({} if one["oid"] in hub.blobs else {"actions": action})})
            return self._answer({"objects": objects, "transfer": "basic"})
        if what in ("branch", "tag"):
            if self.command == "DELETE":
                known = repo["refs"].pop(more, None)
                return self._answer({}) if known else self._error(404, "RevisionNotFound")
            asked = json.loads(body)
            source = more if what == "tag" else "main"
            ref = asked["tag"] if what == "tag" else more
            if ref in repo["refs"]:
                return self._error(409, "", "exists")
            repo["refs"][ref] = repo["refs"].get(source, source)
            return self._answer({})
        revision, _, file = more.partition("/")
        commit = repo["refs"].get(revision, revision)
        if commit not in repo["commits"]:
            return self._error(404, "RevisionNotFound")
        files = repo["commits"][commit]
        if what == "preupload":
            asked = json.loads(body)["files"]
            modes = {
                one["path"]: "lfs" if one["path"].endswith((".parquet", ".safetensors")) else "regular" for one in asked
            }
            found = [{"path": p, "uploadMode": mode, "shouldIgnore": False} for p, mode in modes.items()]
            return self._answer({"files": found})
        if what == "commit":
            new = dict(files)
            for line in body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    new[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    new[value["path"]] = hub.blobs[value["oid"]]
                elif entry["key"] == "deletedFile":
                    del new[value["path"]]
            oid = hub.commit(name, revision, new)
            return self._answer({"success": True, "commitOid": oid, "commitUrl": f"{hub.url}/{name}/commit/{oid}"})
        if what == "revision":
            return self._answer({"id": name, "sha": commit, "siblings": [{"rfilename": f} for f in files]})
        if what == "tree":
            rows = [
                {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                for p, d in files.items()
            ]
            return self._answer(rows)
        if what == "resolve":
            if file not in files:
                return self._error(404, "EntryNotFound")
            data = files[file]
            if self.command == "GET":
                if hub.fail_downloads == len(hub.downloads):
                    return self._error(400, "", "not now")
                hub.downloads.append(file)
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            return self._answer(data, ETag=etag, X_Repo_Commit=commit, Accept_Ranges="bytes")
        return self._error(404, "EntryNotFound", rest)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
