"""What is remembered: grasp attempts as Parquet shards that Hugging Face `datasets` opens as they are."""

from graspgap.datasets.reader import Dataset, open_dataset
from graspgap.datasets.schema import Attempt, PictureRow
from graspgap.datasets.views import LabelledView, SimulatedView, UnlabelledView
from graspgap.datasets.writer import (
    ImportedSpec,
    config_hash,
    finish,
    shard_done,
    shard_path,
    write_rows,
    write_shard,
)

__all__ = [
    "Attempt",
    "Dataset",
    "ImportedSpec",
    "LabelledView",
    "PictureRow",
    "SimulatedView",
    "UnlabelledView",
    "config_hash",
    "finish",
    "open_dataset",
    "shard_done",
    "shard_path",
    "write_rows",
    "write_shard",
]
