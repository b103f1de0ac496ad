"""A repository of the Hub to a folder: each file is checked against the hashes that were pushed before it counts."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

from graspgap.datasets.check import verify
from graspgap.errors import UserError
from graspgap.files import read_json, sha256, write_json
from graspgap.progress import progress
from graspgap.runs import KINDS
from graspgap.sharing.contents import MANIFEST, WHOLE, is_shared
from graspgap.sharing.hub import hub_api, hub_errors
from graspgap.sharing.push import MAIN

MARK = ".pull.json"
"""In a pulled folder: which commit of which repository it is."""
STAGING = ".pull"


@dataclass(frozen=True)
class PullConfig:
    """What is pulled."""

    revision: str = MAIN
    """Branch, tag or commit."""
    kind: Literal["any", "dataset", "model"] = "any"
    """Of the repository; the Hub has datasets and models under the same names."""


@dataclass(frozen=True)
class Pulled:
    """What a pulled folder is."""

    kind: str
    """One of `runs.KINDS`."""
    files: int
    commit: str


def pull(repo: str, out: Path, config: PullConfig) -> Pulled:
    """Pull what `graspgap push` has put into `repo` to the folder `out`, and verify all of it. Resumes.

    The files that make a folder one that graspgap opens come last, so half of a pull is never taken for all of it.
    Only files that the repository lists with their hashes are pulled, and only kinds that hold data.

    Raises:
        UserError: if there is no such repository or it wasn't pushed by graspgap, the Hub can't be reached, a file is
            not the one that was pushed, or `out` holds something else.
    """
    api = hub_api()
    with hub_errors(repo, config.revision):
        kind, commit = _find(api, repo, config)
        _check_place(out, wanted := {"repo": repo, "kind": kind, "commit": commit})
        staging = out / STAGING
        try:
            manifest = _manifest(api, repo, kind, commit, staging)
        except UserError:  # nothing of it was taken: another may be
            shutil.rmtree(staging, ignore_errors=True)
            raise
        write_json(out / MARK, wanted)
        files = manifest["files"]
        with progress("pull", sum(fact["bytes"] for fact in files.values()), unit="bytes") as advance:
            for name, fact in files.items():
                if not _is_there(out / name, fact):
                    found = Path(api.hf_hub_download(repo, name, repo_type=kind, revision=commit, local_dir=staging))
                    if not _is_there(found, fact):
                        found.unlink()
                        raise UserError(f"{repo} has another {name} than was pushed (SHA-256): push it again")
                    (out / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(found, out / name)
                advance(fact["bytes"])
    shutil.rmtree(staging)
    if manifest["kind"] == "dataset":
        verify(out)
    return Pulled(manifest["kind"], len(files), commit)


def _find(api: HfApi, repo: str, config: PullConfig) -> tuple[str, str]:
    """(type, commit) of a repository."""
    kinds = ("dataset", "model") if config.kind == "any" else (config.kind,)
    for kind in kinds:
        try:
            return kind, str(api.repo_info(repo, repo_type=kind, revision=config.revision).sha)
        except RepositoryNotFoundError:
            if kind == kinds[-1]:
                raise
    raise AssertionError("unreachable")


def _check_place(out: Path, wanted: dict[str, str]) -> None:
    """Refuse a folder that holds something else, or what was pulled from somewhere else."""
    mark = out / MARK
    if mark.exists():
        known = read_json(mark, "a pulled folder")
        if not isinstance(known, dict):
            raise UserError(f"{mark} is damaged: choose another folder")
        if known != wanted:
            raise UserError(
                f"{out} was pulled from {known.get('repo')} at {str(known.get('commit'))[:12]}, and is now asked for "
                f"from {wanted['repo']} at {wanted['commit'][:12]}: choose another folder"
            )
        return
    if out.is_file() or (out.is_dir() and any(child.name != STAGING for child in out.iterdir())):
        raise UserError(f"{out} is not an empty folder, and nothing was pulled to it before: choose another folder")


def _manifest(api: HfApi, repo: str, kind: str, commit: str, staging: Path) -> dict[str, Any]:
    try:
        path = api.hf_hub_download(repo, MANIFEST, repo_type=kind, revision=commit, local_dir=staging)
    except LocalEntryNotFoundError:  # the Hub can't be reached
        raise
    except EntryNotFoundError:
        raise UserError(f"{repo} holds no {MANIFEST}: it wasn't pushed by 'graspgap push'") from None
    return _checked(repo, Path(path))


def _checked(repo: str, path: Path) -> dict[str, Any]:
    """The manifest of a repository, if it is one that graspgap may follow."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        kind, files, version = manifest["kind"], manifest["files"], manifest["version"]
        whole = all(isinstance(f["bytes"], int) and isinstance(f["sha256"], str) for f in files.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{repo} has a damaged {MANIFEST}: push it again") from None
    if version != 1:
        raise UserError(f"{repo} was pushed by a later graspgap ({MANIFEST} {version}): upgrade graspgap")
    if not whole or kind not in ("dataset", *WHOLE):
        raise UserError(f"{repo} has a damaged {MANIFEST}: expected one of {', '.join(('dataset', *WHOLE))}")
    wrong = next((name for name in files if not is_shared(name)), None)
    if wrong is not None:
        raise UserError(f"{repo} lists the file {wrong}, which is no data or lies outside of the folder: refused")
    return dict(manifest)


def _is_there(path: Path, fact: dict[str, Any]) -> bool:
    return path.is_file() and path.stat().st_size == fact["bytes"] and sha256(path) == fact["sha256"]


def words(pulled: Pulled) -> str:
    """What was pulled, in words."""
    return f"{KINDS[pulled.kind]}, {pulled.files} files, all as they were pushed (commit {pulled.commit[:12]})"
