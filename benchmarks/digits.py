"""Is each adaptation method right? Digits tell, independently of robots: scikit-learn's, in grey, against the same kind
of digits blended into colour pictures of scikit-image, without labels.

A digit is a grasp sample, so that the code that is shipped runs as it is. I0 is black and It the digit; a motor command
stands for one of ten classes and succeeds if it is the right one; the class of a picture is the command that the grasp
network scores highest. `randomized` and `rcan` learn from grey digits blended with textures of our own, and `rcan`, a
front end, stands before the network in the test too. `composite` borrows from the I0 of real attempts, where there is
nothing to grasp yet: it alone is given the places of the target's digits without their digits. Every arm has the same
network, data, steps and seeds; no other setting is an arm's own.

    pip install -e . scikit-learn scikit-image -c constraints.txt
    python benchmarks/digits.py --out runs/digits

Finished arms are kept in the output folder, and a run goes on with what is missing. `--share 0/2` and `--share 1/2`
divide the work between two processes, each with a core of its own; the last to end writes the table.
"""

from __future__ import annotations

from common import CORES, begin, save, table

# isort: split
import os
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import tyro
from jaxtyping import Int, UInt8
from scipy import stats

from graspgap.adaptation.feature import FEATURES
from graspgap.adaptation.pixel import METHODS, PixelConfig
from graspgap.contract import Camera, SemanticClass
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.deployment.front_end import FrontEnd
from graspgap.files import read_json, write_json
from graspgap.networks import DiscriminatorsConfig, GraspNetConfig
from graspgap.progress import progress
from graspgap.seeding import generator
from graspgap.training.adapt import AdapterTrainingConfig, adapt_frames, train_adapter
from graspgap.training.batches import AugmentConfig, to_float
from graspgap.training.grasp import GraspData, GraspTrainingConfig, policy_domain, train_grasp
from graspgap.worlds.tiles import KINDS, tile

SIZE = 32
CLASSES = 10
FRAMES = 3
"""Pictures of each unlabelled attempt."""
ZOOM, DARK, OPAQUE = 2, 0.6, 0.85
"""How blended digits look: crops are enlarged `ZOOM` times and darkened to `DARK`, and the digit is painted over them
in white, `OPAQUE` where its stroke is darkest. A shift of brightness and contrast, and clutter: both kinds of gap."""
TEXTURES = 600
"""Of the randomized digits."""
CPU = torch.device("cpu")
NETWORK = GraspNetConfig(image_size=SIZE, join="add")
CRITICS = DiscriminatorsConfig(scales=2)
"""32 pixels leave room for two scales."""
WITH_CRITICS = ("graspgan", "cyclegan", "cut", "fastcut", "perceptual", "rcan")
WITH_GRASP = ("graspgan", "pixelda")


@dataclass(frozen=True)
class Config:
    out: Path = Path("runs/digits")
    """Folder of the finished arms."""
    seeds: int = 5
    source: int = 900
    """Labelled grey digits."""
    target: int = 480
    """Unlabelled blended digits; the rest of the 1,797 is the test."""
    steps: int = 500
    """Training steps of the network."""
    adapter_steps: int = 500
    """Training steps of an adapter."""
    arms: tuple[str, ...] = ()
    """Arms by name; all if none is given."""
    share: str = "0/1"
    """Part of the work that this process does, as `0/2`."""
    result: str = "digits"
    """Name of the file of results; some arms alone need another one."""


@dataclass(frozen=True)
class Arm:
    """What is done about the gap. `adapter` and `features` as on the command line."""

    name: str
    adapter: str = ""
    features: tuple[str, ...] = ()
    labels: str = "source"
    """Whose labels: of `source` digits, of `target` ones, or of source digits blended with `random` textures."""
    empty: bool = False
    """Whether the adapter's unlabelled I0 is the place of the attempt's first digit without the digit, not black."""


ARMS = (
    Arm("source-only"),
    Arm("target-only", labels="target"),
    Arm("randomized", labels="random"),
    *(Arm(name, features=(name,)) for name in FEATURES if name != "consistency"),  # that one needs a gripper
    *(
        Arm(name, name, labels="random" if METHODS[name].needs_canonical else "source", empty=name == "composite")
        for name in METHODS
    ),
    Arm("graspgan+dann", adapter="graspgan", features=("dann", "dbn")),
)


def pictures(
    seed: int,
) -> tuple[
    Int[np.ndarray, "n"], UInt8[np.ndarray, "n 3 s s"], UInt8[np.ndarray, "n 3 s s"], UInt8[np.ndarray, "n 3 s s"]
]:
    """Shuffled: classes, grey digits, the same blended with random crops of colour pictures, and these crops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skimage import data
        from sklearn.datasets import load_digits

    digits = load_digits()
    rng = generator(seed, "digits")
    order = rng.permutation(len(digits.images))
    strokes = np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for image in digits.images])
    grey = np.clip(strokes[order] * 16, 0, 255).astype(np.uint8)[:, None].repeat(3, axis=1)
    return digits.target[order], grey, *blended(grey, [data.astronaut(), data.coffee(), data.chelsea()], rng)


def blended(
    grey: UInt8[np.ndarray, "n 3 s s"], backgrounds: list[np.ndarray], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "n 3 s s"], UInt8[np.ndarray, "n 3 s s"]]:
    """Digits blended with random crops of RGB pictures, and the crops, as dark."""
    found, places = np.empty_like(grey), np.empty_like(grey)
    for row, digit in enumerate(grey):
        background = backgrounds[rng.integers(len(backgrounds))]
        side = SIZE // ZOOM
        top, left = (int(rng.integers(extent - side)) for extent in background.shape[:2])
        crop = cv2.resize(background[top : top + side, left : left + side], (SIZE, SIZE)).transpose(2, 0, 1)
        stroke = OPAQUE * digit / 255
        found[row] = DARK * crop * (1 - stroke) + 255 * stroke
        places[row] = DARK * crop
    return found, places


def textures(rng: np.random.Generator) -> list[UInt8[np.ndarray, "64 64 3"]]:
    """Our own procedural textures in random colours: nothing of the target's pictures."""
    found = []
    for kind in rng.permutation(len(KINDS))[:TEXTURES]:
        first, second, third = rng.uniform(0, 255, (3, 3))
        share, over = (part[..., None] for part in tile(int(kind), int(rng.integers(2**31))))
        ground = first + share * (second - first)
        found.append((ground + over * (third - ground)).astype(np.uint8))
    return found


def randomized(sim: SimulatedView, seed: int) -> SimulatedView:
    """Every picture blended with a texture, as the target is with photographs; what it was is the canonical picture."""
    rng = generator(seed, "textures")
    return replace(
        sim,
        images=blended(sim.images, textures(rng), rng)[0],
        canonicals=sim.images,
        canonical_before=sim.images_before,
    )


def codes() -> np.ndarray:
    """A motor command for each class: ten directions, 10 cm long, and as many turns."""
    angle = 2 * np.pi * np.arange(CLASSES) / CLASSES
    parts = [np.cos(angle) / 10, np.sin(angle) / 10, np.cos(3 * angle) / 10, np.sin(angle), np.cos(angle)]
    return np.stack(parts, axis=1).astype(np.float32)


def source_view(digits: UInt8[np.ndarray, "n 3 s s"], classes: Int[np.ndarray, "n"]) -> SimulatedView:
    """Each digit is a scene with ten attempts, one per class, so that training may ask for all ten."""
    count = len(digits) * CLASSES
    images = digits.repeat(CLASSES, axis=0)
    guess = np.tile(np.arange(CLASSES), len(digits))
    masks = np.where(images[:, 0] > 100, SemanticClass.OBJECT, SemanticClass.BACKGROUND).astype(np.uint8)
    return SimulatedView(
        **_common(images, count, 1, guess),
        scenes=np.repeat(np.arange(len(digits)), CLASSES),
        success=guess == classes.repeat(CLASSES),
        masks_before=np.zeros_like(masks),
        masks=masks,
    )


def target_view(digits: UInt8[np.ndarray, "n 3 s s"], seed: int) -> UnlabelledView:
    """Three digits are the servo steps of an attempt. Commands are random: they tell nothing."""
    attempts = len(digits) // FRAMES
    guess = generator(seed, "guess").integers(CLASSES, size=attempts * FRAMES)
    return UnlabelledView(**_common(digits[: attempts * FRAMES], attempts, FRAMES, guess), scenes=np.arange(attempts))


def _common(images: np.ndarray, attempts: int, frames: int, guess: np.ndarray) -> dict[str, Any]:
    poses = np.zeros((len(images), 4), dtype=np.float32)
    poses[:, 2] = 0.3  # high above everything, where scene-mates share pictures
    return {
        "images_before": np.zeros((attempts, 3, SIZE, SIZE), dtype=np.uint8),
        "images": images,
        "owner": np.arange(attempts).repeat(frames),
        "offsets": np.arange(attempts + 1) * frames,
        "poses": poses,
        "commands": codes()[guess],
        "attempts": np.arange(attempts),
        "source": {},
    }


def options(name: str) -> PixelConfig:
    """A method's own settings, for this size of pictures."""
    found: Any = METHODS[name]()
    if name in WITH_CRITICS:
        found = replace(found, discriminators=CRITICS)
    if name in WITH_GRASP:
        found = replace(found, grasp=NETWORK)
    return found.fitted(SIZE, Camera())


def accuracy(config: Config, arm: Arm, seed: int, folder: Path) -> float:
    """Train an arm and classify the test digits, blended ones that nothing was trained on."""
    classes, grey, target, places = pictures(seed)
    known, unknown = slice(config.source), slice(config.source, config.source + config.target)
    test = slice(config.source + config.target, None)
    sim = source_view(grey[known], classes[known])
    if arm.labels == "target":
        sim = source_view(target[known], classes[known])
    if arm.labels == "random":
        sim = randomized(sim, seed)
    real = target_view(target[unknown], seed)
    adapted = front_end = None
    if arm.adapter:
        adapting = AdapterTrainingConfig(arm.adapter, options(arm.adapter), config.adapter_steps, seed=seed)
        shown, learned = sim, real
        if arm.empty:
            shown = replace(sim, masks_before=np.full_like(sim.masks_before, SemanticClass.OBJECT))  # I0 stays black
            learned = replace(real, images_before=places[unknown][::FRAMES][: len(real.images_before)])
        method = train_adapter(folder / "adapter", adapting, shown, learned, CPU)
        adapted = adapt_frames(method, shown, np.arange(len(sim.images)), seed, CPU)
        front_end = FrontEnd(method) if method.front_end else None
    methods = {name: FEATURES[name]() for name in arm.features}
    augment = AugmentConfig(shift=3)
    training = GraspTrainingConfig(
        NETWORK, augment, methods, config.steps, commands_per_image=CLASSES, unlabelled=11, seed=seed
    )
    data = GraspData(sim, adapted, unlabelled=real if methods else None)
    if front_end:
        data = data.shown_through(front_end, CPU)
    net = train_grasp(folder / "policy", training, data, CPU)
    scores = []
    for chunk in np.array_split(target[test], 8):
        pairs = to_float(np.concatenate([np.zeros_like(chunk), chunk], axis=1), CPU)
        poses = torch.zeros(len(chunk), 4)
        with torch.no_grad():
            pairs = front_end(pairs) if front_end else pairs
            scores.append(
                net(pairs, poses, torch.from_numpy(codes()).expand(len(chunk), -1, -1), policy_domain(training))
            )
    return float((torch.cat(scores).argmax(dim=1).numpy() == classes[test]).mean())


def measured(config: Config) -> dict[str, list[float]]:
    """Accuracies of every arm, seed by seed; those that this process is to find and aren't there yet are found now."""
    part, parts = map(int, config.share.split("/"))
    if CORES:
        os.sched_setaffinity(0, {sorted(CORES, reverse=True)[part % len(CORES)]})
    arms = [arm for arm in ARMS if not config.arms or arm.name in config.arms]
    work = [(arm, seed) for seed in range(config.seeds) for arm in arms]
    facts = {"source": config.source, "target": config.target, "steps": [config.steps, config.adapter_steps]}
    with progress("digits", len(work[part::parts]), 0, "arms") as advance:
        for arm, seed in work[part::parts]:
            path = config.out / f"{arm.name}-{seed}" / "accuracy.json"
            if not path.exists() or read_json(path, "a finished arm")["facts"] != facts:
                value = accuracy(config, arm, seed, path.parent)
                write_json(path, {"accuracy": value, "facts": facts})
            advance(1, f"{arm.name} {read_json(path, 'a finished arm')['accuracy']:.1%}")
    found: dict[str, list[float]] = {}
    for arm, seed in work:
        path = config.out / f"{arm.name}-{seed}" / "accuracy.json"
        if path.exists():
            found.setdefault(arm.name, []).append(read_json(path, "a finished arm")["accuracy"])
    return found


def rows(found: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Mean accuracy with its interval over seeds, and the difference from source-only, seed by seed."""
    base = np.array(found["source-only"])
    lines = []
    for name, values in found.items():
        gain = np.array(values) - base[: len(values)]
        lines.append(
            {
                "arm": name,
                "seeds": len(values),
                "accuracy": f"{100 * np.mean(values):.1f}",
                "interval": _interval(np.array(values)),
                "gain": f"{100 * gain.mean():+.1f}",
                "gain_interval": _interval(gain),
                "values": [round(value, 4) for value in values],
            }
        )
    return lines


def _interval(values: np.ndarray) -> str:
    """95% of Student's t, in percent."""
    if len(values) < 2:
        return ""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{100 * (values.mean() - half):.1f} to {100 * (values.mean() + half):.1f}"


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    torch.set_num_threads(1)
    found = measured(config)
    lines = rows(found)
    print(table([{key: value for key, value in line.items() if key != "values"} for line in lines]))
    settings = {key: value for key, value in asdict(config).items() if key not in ("out", "share", "arms", "result")}
    chosen = config.arms if config.arms and config.result != "digits" else [arm.name for arm in ARMS]
    if all(len(found.get(name, [])) == config.seeds for name in chosen):
        print(save(config.result, settings, lines, load))


if __name__ == "__main__":
    main()
