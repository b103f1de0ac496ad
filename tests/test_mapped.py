"""Views that are larger than memory."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from conftest import SIM, PaperWorld
from graspgap.caches import CACHE
from graspgap.datasets import Dataset, open_dataset, shards
from graspgap.datasets.pictures import encode_png
from graspgap.datasets.writer import finish, write_shard
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.seeding import generator
from graspgap.training.batches import GraspSamples

PICTURES = ("images_before", "images", "masks_before", "masks")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def part(folder: Path, memory: int | None) -> Dataset:
    return open_dataset(folder, memory).limit(30)


def test_a_mapped_view_and_its_batches_have_the_same_bits(sim_data: Path, cache: Path):
    near, far = part(sim_data, None).simulated(), part(sim_data, 0).simulated()
    for name in (*PICTURES, "poses", "commands", "success", "owner", "offsets", "scenes", "attempts"):
        np.testing.assert_array_equal(getattr(near, name), getattr(far, name))
        assert getattr(far, name).flags.writeable == (name not in PICTURES)
    one, other = (GraspSamples(v, 2).batch(generator(0, "b"), 9, torch.device("cpu")) for v in (near, far))
    for name in ("pictures", "masks", "poses", "commands", "success", "shift"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0, equal_nan=True)
    assert near.provenance() == far.provenance()


def test_pictures_are_decoded_once_for_the_same_attempts(sim_data: Path, cache: Path, monkeypatch):
    first = part(sim_data, 0).simulated()
    monkeypatch.setattr(shards, "decode_into", lambda *_: pytest.fail("decoded again"))
    np.testing.assert_array_equal(part(sim_data, 0).simulated().images, first.images)
    with pytest.raises(pytest.fail.Exception):
        part(sim_data, 0).limit(29).simulated()
    assert [path.name[0] for path in (cache / "pictures").iterdir()] != ["."]


def test_a_cache_that_was_not_finished_is_not_used(sim_data: Path, cache: Path, monkeypatch):
    decode, calls = shards.decode_into, []

    def dies(*arguments) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        decode(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "decode_into", dies)
        with pytest.raises(KeyboardInterrupt):
            part(sim_data, 0).unlabelled()
    assert not list((cache / "pictures").iterdir())
    np.testing.assert_array_equal(part(sim_data, 0).unlabelled().images, part(sim_data, None).unlabelled().images)


def test_a_full_disk_is_one_line(sim_data: Path, cache: Path, monkeypatch):
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"GB of decoded pictures in .*No space left.*GRASPGAP_CACHE"):
        part(sim_data, 0).unlabelled()
    assert not list((cache / "pictures").iterdir())


def test_only_what_is_larger_than_its_share_of_memory_is_mapped(sim_data: Path, cache: Path):
    view = part(sim_data, None).simulated()
    exact = sum(getattr(view, name).nbytes for name in PICTURES)
    assert part(sim_data, exact).simulated().images.flags.writeable
    assert not part(sim_data, exact - 1).simulated().images.flags.writeable
    assert not part(sim_data, None).memory < 2**28


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts allocated memory on Linux alone")
@pytest.mark.parametrize(("memory", "fits"), [(0, True), (2**40, False)])
def test_training_on_a_mapped_view_needs_no_memory_for_its_pictures(
    tmp_path: Path, cache: Path, memory: int, fits: bool
):
    picture, mask = np.zeros((512, 512, 3), np.uint8), np.zeros((512, 512), np.uint8)
    small = run_attempt(PaperWorld(), RandomPolicy(4), 0, 0)
    count = len(small.images)
    large = replace(small, image_before=picture, images=[picture] * count, mask_before=mask, masks=[mask] * count)
    for shard in range(40):
        write_shard(tmp_path / "data", shard, [large])
    finish(tmp_path / "data", {}, replace(SIM, image_size=512), 40)
    code = f"""
import resource
import numpy as np
from graspgap.datasets import open_dataset
data = open_dataset({str(tmp_path / "data")!r}, memory={memory})
data.limit(1).simulated()
taken = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (taken + {80 * 2**20}, -1))
view = data.simulated()
assert len(view.images) >= 40
for frame in range(len(view.images)):
    view.pairs(np.array([frame])), view.mask_pairs(np.array([frame]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == fits, done.stderr
    assert fits or "MemoryError" in done.stderr


def test_bytes_are_found_in_a_part_of_a_column():
    column = pa.array([b"no", b"one", None, b"two"])
    assert [bytes(data) for data in shards._blobs(column.slice(1, 3))] == [b"one", b"", b"two"]
    assert list(shards._blobs(pa.array([], pa.binary()))) == []


def test_no_picture_is_damage():
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    column = pa.chunked_array([pa.array([{"bytes": encode_png(np.zeros((4, 4), np.uint8))}, None], kind)])
    with pytest.raises(UserError, match="picture 1: 0 bytes are not a PNG"):
        shards.decode_into(np.empty((2, 4, 4), np.uint8), column, Path("shard"))
