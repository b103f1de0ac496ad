"""The Hugging Face Hub behind `huggingface_hub`: one way in, and one line for whatever goes wrong there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.errors import HTTPError as TransportError  # of httpx, or of what has taken its place
from huggingface_hub.utils import disable_progress_bars

from graspgap.errors import UserError


def hub_api() -> HfApi:
    """The Hub at `$HF_ENDPOINT`, or the public one; its library's own progress bars off."""
    disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="graspgap")


def require_token() -> None:
    """Raises:
    UserError: if nobody is logged in.
    """
    if get_token() is None:
        raise UserError(
            "pushing needs a token of the Hugging Face Hub that may write: run 'hf auth login', or set HF_TOKEN"
        )


@contextmanager
def hub_errors(repo: str, revision: str) -> Iterator[None]:
    """Whatever goes wrong with the Hub inside becomes one clear line.

    Raises:
        UserError: names the repository, what the Hub says, and the fix.
    """
    try:
        yield
    except HFValidationError:
        raise UserError(f"'{repo}' is no name of a repository: expected USER/NAME of letters, digits, - _ .") from None
    except GatedRepoError:
        raise UserError(f"{repo} is gated: ask for access on its page, and log in with 'hf auth login'") from None
    except RepositoryNotFoundError:
        raise UserError(
            f"{repo} doesn't exist, or your token can't see it: correct the name, or run 'hf auth login'"
        ) from None
    except RevisionNotFoundError:
        raise UserError(f"{repo} has no revision '{revision}': give a branch, a tag or a commit of it") from None
    except OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE is set, so the Hub isn't asked: unset it") from None
    except LocalTokenNotFoundError:
        raise UserError(f"{repo} needs a token: run 'hf auth login', or set HF_TOKEN") from None
    except LocalEntryNotFoundError as error:
        raise _unreachable(error) from None
    except EntryNotFoundError as error:
        raise UserError(f"{repo} lacks a file at '{revision}' ({_first(error)}): push it again") from None
    except HfHubHTTPError as error:
        raise _refused(repo, error) from None
    except TransportError as error:
        raise _unreachable(error) from None
    except RuntimeError as error:  # by which it wraps what went wrong in an upload
        cause = error.__cause__ or error
        if isinstance(cause, HfHubHTTPError):
            raise _refused(repo, cause) from None
        raise UserError(f"{repo}: {_first(error)} ({_first(cause)}): run the same command again to go on") from None


def _refused(repo: str, error: HfHubHTTPError) -> UserError:
    status = error.response.status_code
    if status == 401:
        return UserError(f"{repo}: the Hub doesn't accept your token: run 'hf auth login', or correct HF_TOKEN")
    if status == 403:
        return UserError(f"{repo}: your token may not do this: use one with write access to it")
    said = error.server_message or _first(error)
    return UserError(f"{repo}: the Hub answered {status} ({said}): run the same command again to go on")


def _unreachable(error: Exception) -> UserError:
    where = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    return UserError(
        f"can't reach {where} ({_first(error)}): check the network or HF_ENDPOINT, then run the same command again"
    )


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
