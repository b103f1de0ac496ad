"""A folder to a repository of the Hub, in one commit: the repository goes from what it was to all of the new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError

from graspgap.datasets.card import card
from graspgap.datasets.check import verify
from graspgap.datasets.lerobot_layout import VERSION
from graspgap.errors import UserError
from graspgap.progress import progress
from graspgap.sharing.cards import run_card
from graspgap.sharing.contents import CARD, MANIFEST, Contents, contents, is_shared, manifest_of
from graspgap.sharing.hub import hub_api, hub_errors, require_token

MAIN = "main"
BATCH = 200 * 10**6
"""Bytes between two steps of the progress bar."""


@dataclass(frozen=True)
class PushConfig:
    """Where and how a folder is pushed."""

    revision: str = MAIN
    """Branch of the repository; it is made where it doesn't exist."""
    private: bool = False
    """Make a new repository private."""
    message: str = "Push by graspgap"
    """Of the commit."""


def push(folder: Path, repo: str, config: PushConfig) -> str:
    """Push the dataset or run in `folder` to `repo` (USER/NAME), which is made where it doesn't exist; returns the
    commit's URL.

    Only files of the folder are sent, and a card and a list of hashes made from them; files of an earlier push that
    are no longer there are removed. What had been sent when a push was stopped isn't sent again.

    Raises:
        UserError: if the folder is not finished or damaged, nobody is logged in, the Hub can't be reached or refuses.
    """
    found = contents(folder)
    if found.kind == "dataset":
        verify(folder)
    require_token()
    manifest = manifest_of(folder, found)
    made = {MANIFEST: json.dumps(manifest, indent=2) + "\n"}
    if CARD not in found.files:
        made[CARD] = card(found.facts) if found.kind == "dataset" else run_card(folder, found.kind, found.facts, repo)
    additions = [CommitOperationAdd(name, str(folder / name)) for name in found.files]
    whole = [*additions, *(CommitOperationAdd(name, text.encode()) for name, text in made.items())]
    api, kind = hub_api(), found.repo_type
    with hub_errors(repo, config.revision):
        api.create_repo(repo, repo_type=kind, private=config.private, exist_ok=True)
        if config.revision != MAIN:
            api.create_branch(repo, repo_type=kind, branch=config.revision, exist_ok=True)
        stale = _earlier(api, repo, kind, config.revision) - {operation.path_in_repo for operation in whole}
        with progress("push", sum(operation.upload_info.size for operation in additions), unit="bytes") as advance:
            for batch in _batches(additions):
                api.preupload_lfs_files(repo, batch, repo_type=kind, revision=config.revision, free_memory=False)
                advance(sum(operation.upload_info.size for operation in batch))
        commit = api.create_commit(
            repo,
            [*whole, *(CommitOperationDelete(name) for name in sorted(stale))],
            repo_type=kind,
            revision=config.revision,
            commit_message=config.message,
        )
        if found.kind == "lerobot" and config.revision == MAIN:
            _tag(api, repo, str(commit.oid), found)
    return str(commit.commit_url)


def _batches(additions: list[CommitOperationAdd]) -> Iterator[list[CommitOperationAdd]]:
    batch: list[CommitOperationAdd] = []
    for operation in additions:
        batch.append(operation)
        if sum(one.upload_info.size for one in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _earlier(api: HfApi, repo: str, kind: str, revision: str) -> set[str]:
    """The files that an earlier push to the repository listed and that are still there."""
    there = set(api.list_repo_files(repo, repo_type=kind, revision=revision))
    if MANIFEST not in there:
        return set()
    try:
        path = api.hf_hub_download(repo, MANIFEST, repo_type=kind, revision=revision)
        listed = json.loads(Path(path).read_text(encoding="utf-8"))["files"]
    except (EntryNotFoundError, ValueError, KeyError, TypeError):
        raise UserError(f"{repo} has a {MANIFEST} that isn't ours or is damaged: delete it there") from None
    return {name for name in listed if is_shared(name)} & there


def _tag(api: HfApi, repo: str, commit: str, found: Contents) -> None:
    """LeRobot looks for its data under the tag of its format's version."""
    with suppress(RevisionNotFoundError):
        api.delete_tag(repo, repo_type=found.repo_type, tag=VERSION)
    api.create_tag(repo, repo_type=found.repo_type, tag=VERSION, revision=commit)
