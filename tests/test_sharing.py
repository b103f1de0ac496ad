from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

import hub as fake
from conftest import SIM, PaperWorld
from graspgap.cli.main import main
from graspgap.datasets import open_dataset
from graspgap.datasets.check import verify
from graspgap.datasets.export_lerobot import LerobotExport, export_lerobot
from graspgap.datasets.writer import finish, write_shard
from graspgap.errors import UserError
from graspgap.files import write_json
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.sharing import push as pushing
from graspgap.sharing.contents import contents, is_shared
from graspgap.sharing.pull import MARK, PullConfig, pull
from graspgap.sharing.push import PushConfig, push

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the library's own upload


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with fake.running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", fake.TOKEN)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        yield hub


def dataset(folder: Path, shards: int = 3) -> Path:
    for index in range(shards):
        rows = [run_attempt(PaperWorld(), RandomPolicy(2), 0, 2 * index + k, per_scene=2) for k in range(2)]
        write_shard(folder, index, rows)
    finish(folder, {"seed": 0}, SIM, shards)
    return folder


def policy(folder: Path) -> Path:
    """Files as `graspgap train` leaves them, and some that are nobody's business."""
    data = {"path": "data/sim", "world": "sim", "attempts": 4000, "labels": 4000}
    inputs = {"sim": data, "real": {**data, "world": "standin", "attempts": 500, "labels": 0}, "policy": {}}
    config = {"kind": "policy", "config": {"steps": 2000, "seed": 1}, "inputs": inputs, "versions": {"torch": "2.13.0"}}
    write_json(folder / "config.json", config)
    write_json(folder / "held_out.json", {"sim": {"auc": 0.91, "calibration_error": 0.02}})
    save_file({"weight": np.arange(6.0)}, folder / "policy.safetensors")
    (folder / "log.jsonl").write_text("{}\n")
    (folder / "looks").mkdir()
    (folder / "looks/000200.png").write_bytes(b"png")
    for secret in (".env", "weights.pkl", "notes.txt", "looks/.hidden.png", "checkpoint.safetensors"):
        (folder / secret).write_text("secret")
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name[0] != "."
    }


def test_a_dataset_comes_back_as_it_was(hub, tmp_path):
    source = dataset(tmp_path / "in")
    url = push(source, "user/grasps", PushConfig())
    assert url.startswith(f"{hub.url}/datasets/user/grasps/commit/")
    there = hub.files("datasets/user/grasps")
    assert set(there) == {*bytes_of(source), ".gitattributes", "graspgap.json"}
    pulled = pull("user/grasps", tmp_path / "out", PullConfig())
    assert (pulled.kind, pulled.files) == ("dataset", 5)
    assert bytes_of(tmp_path / "out") == bytes_of(source)
    assert len(open_dataset(tmp_path / "out")) == 6
    hub.downloads.clear()
    assert pull("user/grasps", tmp_path / "out", PullConfig()) == pulled
    assert "meta.json" not in hub.downloads


def test_a_run_comes_back_without_what_is_not_shared(hub, tmp_path):
    source = policy(tmp_path / "in")
    push(source, "user/policy", PushConfig(private=True))
    assert hub.repos["models/user/policy"]["private"] is True
    assert all(b"secret" not in data for data in hub.blobs.values())
    there = hub.files("models/user/policy")
    files = {"config.json", "held_out.json", "log.jsonl", "looks/000200.png", "policy.safetensors"}
    assert set(there) == {*files, ".gitattributes", "README.md", "graspgap.json"}
    text = there["README.md"].decode()
    for words in (
        "a policy run",
        "4000 attempts of the world `sim`, 4000 labels",
        "world `standin`, no label",
        "AUC 0.91",
    ):
        assert words in text
    assert not (source / "README.md").exists()
    pulled = pull("user/policy", tmp_path / "out", PullConfig())
    assert set(bytes_of(tmp_path / "out")) == files
    assert (pulled.kind, (tmp_path / "out/policy.safetensors").read_bytes()) == ("policy", there["policy.safetensors"])


def test_a_lerobot_export_gets_the_tag_that_lerobot_asks_for(hub, tmp_path):
    export_lerobot(dataset(tmp_path / "in"), tmp_path / "export", LerobotExport(images=True))
    for _ in range(2):  # the tag moves
        push(tmp_path / "export", "user/lerobot", PushConfig())
        refs = hub.repos["datasets/user/lerobot"]["refs"]
        assert refs["v3.0"] == refs["main"]
        (tmp_path / "export/README.md").write_text("---\nlicense: mit\n---\n")
    pull("user/lerobot", tmp_path / "out", PullConfig())
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "export")
    (tmp_path / "export/README.md").unlink()  # then it is made of the facts
    push(tmp_path / "export", "user/lerobot", PushConfig())
    assert b"graspgap import lerobot run OUT" in hub.files("datasets/user/lerobot")["README.md"]


def test_a_push_that_was_stopped_leaves_the_old_and_does_not_send_twice(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(pushing, "BATCH", 1)
    source = dataset(tmp_path / "in")
    hub.fail_uploads = 2
    with pytest.raises(UserError, match=r"the disk is full.*run the same command again"):
        push(source, "user/grasps", PushConfig())
    assert set(hub.files("datasets/user/grasps")) == {".gitattributes"}
    with pytest.raises(UserError, match=r"holds no graspgap\.json"):
        pull("user/grasps", tmp_path / "half", PullConfig())
    hub.fail_uploads = -1
    push(source, "user/grasps", PushConfig())
    pull("user/grasps", tmp_path / "half", PullConfig())  # nothing of the other was there
    assert len(hub.uploads) == len(set(hub.uploads)) == 3
    assert "meta.json" in hub.files("datasets/user/grasps")


def test_a_pull_that_was_stopped_is_no_dataset_yet_and_goes_on(hub, tmp_path):
    source = dataset(tmp_path / "in")
    push(source, "user/grasps", PushConfig())
    hub.fail_downloads = len(hub.downloads) + 3
    with pytest.raises(UserError, match="not now"):
        pull("user/grasps", tmp_path / "out", PullConfig())
    assert len(list((tmp_path / "out/data").iterdir())) == 2
    with pytest.raises(UserError, match="unfinished"):
        open_dataset(tmp_path / "out")
    hub.fail_downloads = -1
    hub.downloads.clear()
    pull("user/grasps", tmp_path / "out", PullConfig())
    assert [name for name in hub.downloads if "shard" in name] == ["data/shard-00002.parquet"]
    assert bytes_of(tmp_path / "out") == bytes_of(source)


def test_files_that_are_gone_are_gone_there_and_the_notes_of_others_stay(hub, tmp_path):
    push(dataset(tmp_path / "in", 3), "user/grasps", PushConfig())
    hub.commit("datasets/user/grasps", "main", {**hub.files("datasets/user/grasps"), "notes.txt": b"mine"})
    push(dataset(tmp_path / "smaller", 2), "user/grasps", PushConfig())
    there = hub.files("datasets/user/grasps")
    assert "data/shard-00002.parquet" not in there
    assert there["notes.txt"] == b"mine"
    pull("user/grasps", tmp_path / "out", PullConfig())
    assert len(open_dataset(tmp_path / "out")) == 4


def test_revisions(hub, tmp_path):
    push(dataset(tmp_path / "in", 1), "user/grasps", PushConfig())
    push(dataset(tmp_path / "more", 2), "user/grasps", PushConfig(revision="more"))
    assert pull("user/grasps", tmp_path / "one", PullConfig()).files == 3
    pulled = pull("user/grasps", tmp_path / "two", PullConfig(revision="more"))
    assert pulled.commit == json.loads((tmp_path / "two" / MARK).read_text())["commit"]
    assert len(open_dataset(tmp_path / "two")) == 4
    assert pull("user/grasps", tmp_path / "three", PullConfig(revision=pulled.commit)).files == 4
    with pytest.raises(UserError, match="has no revision 'absent'"):
        pull("user/grasps", tmp_path / "four", PullConfig(revision="absent"))
    with pytest.raises(UserError, match=r"was pulled from user/grasps at .* choose another folder"):
        pull("user/grasps", tmp_path / "one", PullConfig(revision="more"))


def test_models_and_datasets_of_one_name(hub, tmp_path):
    push(policy(tmp_path / "policy"), "user/both", PushConfig())
    assert pull("user/both", tmp_path / "one", PullConfig()).kind == "policy"
    push(dataset(tmp_path / "data"), "user/both", PushConfig())
    assert pull("user/both", tmp_path / "two", PullConfig()).kind == "dataset"
    assert pull("user/both", tmp_path / "three", PullConfig(kind="model")).kind == "policy"


def test_another_file_than_was_pushed_is_refused(hub, tmp_path):
    push(dataset(tmp_path / "in"), "user/grasps", PushConfig())
    files = hub.files("datasets/user/grasps")
    files["data/shard-00001.parquet"] = files["data/shard-00001.parquet"][:-1] + b"x"
    hub.commit("datasets/user/grasps", "main", files)
    with pytest.raises(UserError, match=r"another data/shard-00001.parquet than was pushed"):
        pull("user/grasps", tmp_path / "out", PullConfig())
    assert not (tmp_path / "out/data/shard-00001.parquet").exists()
    assert not (tmp_path / "out/meta.json").exists()


@pytest.mark.parametrize(
    "name", ["../evil.json", "/tmp/evil.json", "run.py", "weights.pkl", "a/.ssh/x.json", "a\\..\\b.json", "a//b.json"]
)
def test_a_repository_may_not_write_where_or_what_it_likes(hub, tmp_path, name):
    assert not is_shared(name)
    data = b"{}"
    manifest = {"format": "graspgap-share", "version": 1, "kind": "policy"}
    manifest["files"] = {name: {"bytes": 2, "sha256": hashlib.sha256(data).hexdigest()}}
    hub.repos["models/user/evil"] = {"refs": {}, "commits": {}}
    hub.commit("models/user/evil", "main", {"graspgap.json": json.dumps(manifest).encode(), name: data})
    with pytest.raises(UserError, match="which is no data or lies outside of the folder: refused"):
        pull("user/evil", tmp_path / "out/deep", PullConfig())
    assert list(tmp_path.rglob("evil*")) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"version": 1, "kind": "policy", "files": {"a.json": {"bytes": 1}}}', "damaged"),
        ('{"version": 1, "kind": "study", "files": {}}', "expected one of"),
        ('{"version": 2, "kind": "policy", "files": {}}', "upgrade graspgap"),
    ],
)
def test_damaged_manifests_are_refused(hub, tmp_path, text, words):
    hub.repos["models/user/odd"] = {"refs": {}, "commits": {}}
    hub.commit("models/user/odd", "main", {"graspgap.json": text.encode()})
    with pytest.raises(UserError, match=words):
        pull("user/odd", tmp_path / "out", PullConfig())


def test_what_can_not_be_pushed(hub, tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        push(tmp_path / "absent", "user/x", PushConfig())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"it has no config\.json"):
        push(tmp_path / "empty", "user/x", PushConfig())
    write_json(tmp_path / "study/config.json", {"kind": "study"})
    with pytest.raises(UserError, match="holds a study, which isn't shared"):
        push(tmp_path / "study", "user/x", PushConfig())
    run = policy(tmp_path / "run")
    (run / "policy.safetensors").unlink()
    with pytest.raises(UserError, match="is unfinished"):
        push(run, "user/x", PushConfig())
    (run / "policy.safetensors").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="is a link out of"):
        push(run, "user/x", PushConfig())
    data = dataset(tmp_path / "data")
    (data / "data/shard-00000.parquet").write_bytes(b"x")
    with pytest.raises(UserError, match="1 of 3 shards are damaged"):
        push(data, "user/x", PushConfig())
    assert hub.repos == {}


def test_folders_that_hold_something_are_not_pulled_to(hub, tmp_path):
    push(dataset(tmp_path / "in"), "user/grasps", PushConfig())
    with pytest.raises(UserError, match="is not an empty folder"):
        pull("user/grasps", tmp_path / "in", PullConfig())
    verify(tmp_path / "in")


def test_tokens_names_and_networks_that_do_not_work_are_one_line(hub, tmp_path, monkeypatch, capsys):
    source = str(dataset(tmp_path / "in", 1))

    def said(*words: str) -> str:
        assert main(list(words)) == 2
        error = capsys.readouterr().err.splitlines()
        return error[-1]

    assert "absent doesn't exist, or your token can't see it" in said("pull", "user/absent", str(tmp_path / "out"))
    assert "is no name of a repository" in said("pull", "a/b/c", str(tmp_path / "out"))
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "doesn't accept your token" in said("push", source, "user/x")
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    assert "use one with write access" in said("push", source, "user/x")
    monkeypatch.delenv("HF_TOKEN")
    assert "run 'hf auth login', or set HF_TOKEN" in said("push", source, "user/x")
    monkeypatch.setenv("HF_TOKEN", fake.TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "can't reach http://127.0.0.1:9" in said("push", source, "user/x")
    assert "can't reach http://127.0.0.1:9" in said("pull", "user/x", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_commands(hub, tmp_path, capsys):
    source = dataset(tmp_path / "in", 1)
    assert main(["push", str(source), "user/grasps", "--revision", "v1"]) == 0
    assert "graspgap pull user/grasps" in capsys.readouterr().out
    assert main(["pull", "user/grasps", str(tmp_path / "out"), "--revision", "v1"]) == 0
    assert "a dataset, 3 files, all as they were pushed" in capsys.readouterr().out
    shutil.rmtree(source)
    assert contents(tmp_path / "out").kind == "dataset"
