"""Networks at the demo's and at the paper's size: shapes, counts, how far they see, and that nothing moves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import SIM
from graspgap.adaptation.feature import FEATURES
from graspgap.adaptation.pixel import METHODS
from graspgap.adaptation.pixel.cyclegan import CycleGanConfig
from graspgap.cli.main import main
from graspgap.contract import Camera
from graspgap.datasets import open_dataset
from graspgap.deployment.predictor import NetworkPredictor
from graspgap.errors import UserError
from graspgap.networks import (
    Discriminators,
    DiscriminatorsConfig,
    Generator,
    GeneratorConfig,
    GraspNet,
    GraspNetConfig,
    Segmenter,
    SegmenterConfig,
)
from graspgap.networks.heads import Grasping44Head
from graspgap.networks.layers import Enlarge, Halve, InstanceNorm
from graspgap.networks.measure import costs, measured, receptive_field
from graspgap.networks.normalization import Domain
from graspgap.networks.presets import NETWORKS, resized, with_networks
from graspgap.training.grasp import GraspData, GraspTrainer, GraspTrainingConfig

NARROW = replace(NETWORKS["paper"].grasp, width=4, head=4)
"""The published network with few channels."""

PINNED = {
    "demo": {
        "grasp trunk": (25_664, 8_355_840, 29, [(48, 32, 32)]),
        "grasp head": (31_137, 1_382_168, None, [(1,)]),
        "generator": (248_262, 71_958_528, 86, [(6, 64, 64), (2, 4, 64, 64)]),
        "discriminator 64": (95_641, 23_861_088, 30, [(1, 15, 15)]),
        "discriminator 32": (95_641, 5_424_480, 30, [(1, 7, 7)]),
        "discriminator 16": (95_641, 1_113_696, 30, [(1, 3, 3)]),
    },
    "paper": {
        "grasp trunk": (629_120, 4_604_411_904, 166, [(64, 27, 27)]),
        "grasp head": (617_793, 173_212_992, 616, [(1,)]),
        "generator": (4_475_774, 18_784_167_936, 350, [(6, 472, 472), (2, 4, 472, 472)]),
        "discriminator 472": (2_768_705, 11_073_724_416, 70, [(1, 57, 57)]),
        "discriminator 236": (2_768_705, 2_632_876_032, 70, [(1, 27, 27)]),
        "discriminator 118": (2_768_705, 589_977_600, 70, [(1, 12, 12)]),
    },
}
"""Parameters, multiply-adds, receptive field, output shapes."""


@pytest.mark.parametrize("name", sorted(PINNED))
def test_sizes_are_what_they_were(name: str) -> None:
    found = {
        network: (cost.parameters, cost.multiply_adds, receptive_field(cost.layers) if cost.layers else None)
        for network, cost in costs(NETWORKS[name]).items()
        if network in PINNED[name]
    }
    assert found == {network: values[:3] for network, values in PINNED[name].items()}
    shapes = {network: list(cost.outputs) for network, cost in costs(NETWORKS[name]).items() if network in PINNED[name]}
    assert shapes == {network: values[3] for network, values in PINNED[name].items()}


def test_grasping44_has_the_published_stages() -> None:
    """Output sides and counts of the published table, by hand, for 6 channels and 5 numbers of command."""
    with torch.device("meta"):
        net = GraspNet(NETWORKS["paper"].grasp)
        sides: list[tuple[int, ...]] = []
        head = net.head
        assert isinstance(head, Grasping44Head)
        for layer in (net.trunk.stem, net.trunk.pool1, net.trunk.pool2, *head.convs, head.pool):
            layer.register_forward_hook(lambda _, __, output: sides.append(output.shape[-1]))
        net(torch.zeros(2, 6, 472, 472), torch.zeros(2, 4), torch.zeros(2, 1, 5))
    assert sides == [236, 79, 27, 3, *[27] * 6, 14, 12, 10, 8]  # 3: the command's part of the first convolution
    convolutions = 64 * (36 * 6 + 6 * 25 * 64 + 9 * 9 * 64)
    linear = 64 * (8 * 8 * 64 + 64) + 256 * (5 + 64) + 64 + 1
    norms = 2 * (64 * (1 + 6 + 6 + 3 + 2 + 1) + 256)
    aids = 64 * 9 + 1 + 8 * 65  # gripper and masks, which are this project's
    assert sum(p.numel() for p in net.parameters()) == convolutions + linear + norms + aids


def test_what_a_training_step_keeps_is_counted_once() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU(), nn.Conv2d(2, 3, 3, bias=False))
    cost = measured(net, lambda: net(torch.zeros(2, 1, 8, 8)))
    assert cost.activation_bytes == 4 * 2 * (8 * 8 + 2 * 6 * 6)  # the picture, and the map both layers share
    assert cost.parameters == 9 * 2 + 9 * 6
    assert cost.multiply_adds == 2 * (36 * 2 * 9 + 16 * 3 * 18)


def test_transposed_convolutions_are_counted() -> None:
    net = nn.ConvTranspose2d(2, 3, 4, stride=2)
    assert measured(net, lambda: net(torch.zeros(1, 2, 5, 5))).multiply_adds == 25 * 2 * 3 * 16


def seen(net: nn.Module, run: Callable[[torch.Tensor], torch.Tensor], size: int) -> int:
    """Side of the part of the input that has a gradient from one cell of the last map; the largest of four cells."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InstanceNorm):  # which sees the whole picture
                setattr(parent, name, nn.Identity())
            if isinstance(child, nn.MaxPool2d):  # whose gradient reaches one cell of each window alone
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, ceil_mode=child.ceil_mode))
    net.double().eval()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1 / parameter[0].numel() if parameter.dim() > 1 else 1.0)
    largest = 0
    for shift in range(4):
        pictures = torch.full((1, 6, size, size), 0.01, dtype=torch.float64, requires_grad=True)
        output = run(pictures)
        middle = output.shape[-1] // 2
        output[0, :, middle + shift - 2, middle].sum().backward()
        assert pictures.grad is not None
        rows = pictures.grad.abs().sum(dim=(0, 1, 3)).nonzero()
        assert 0 < rows.min() < rows.max() < size - 1
        largest = max(largest, int(rows.max() - rows.min()) + 1)
    return largest


@pytest.mark.parametrize(("config", "size"), [(GraspNetConfig(fine=2, coarse=2), 64), (replace(NARROW, width=1), 472)])
def test_a_trunk_sees_as_far_as_gradients_reach(config: GraspNetConfig, size: int) -> None:
    net = GraspNet(config)
    layers = measured(net, lambda: net.encode(torch.zeros(2, 6, size, size))).layers
    assert receptive_field(layers) == seen(net, lambda pictures: net.trunk(pictures, Domain.SIMULATION), size)


@pytest.mark.parametrize("preset", ["demo", "paper"])
def test_a_discriminator_sees_as_far_as_gradients_reach(preset: str) -> None:
    widths = tuple(2 for _ in NETWORKS[preset].discriminators.widths)
    net = Discriminators(replace(NETWORKS[preset].discriminators, widths=widths)).scales[0]
    layers = measured(net, lambda: net(torch.zeros(1, 6, 128, 128))).layers
    assert receptive_field(layers) == seen(net, net, 128)


@pytest.mark.parametrize("size", [96, 101])
def test_a_generator_sees_as_far_as_gradients_reach(size: int) -> None:
    net, noise = Generator(GeneratorConfig(widths=(2, 2, 2))), torch.zeros(1, 1, size, size)
    layers = measured(net, lambda: net(torch.zeros(1, 6, size, size), noise)).layers
    assert receptive_field(layers) == seen(net, lambda pictures: net(pictures, noise.double())[0], size)


def test_the_fast_instance_norm_is_torchs() -> None:
    ours, torchs = InstanceNorm(3), nn.InstanceNorm2d(3, affine=True)
    for norm in (ours, torchs):
        norm.load_state_dict({"weight": torch.tensor([0.5, 1.0, 2.0]), "bias": torch.tensor([0.0, -1.0, 1.0])})
    x = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    torch.testing.assert_close(ours(x), torchs(x))


def test_odd_maps_lose_nothing_and_stay_in_place() -> None:
    column = torch.arange(59.0)
    ramp = column.expand(1, 1, 59, 59)
    halved = Halve()(ramp)
    assert halved.shape[-1] == 30
    torch.testing.assert_close(halved[0, 0, 0], torch.cat([column[:-1].unflatten(0, (29, 2)).mean(1), column[-1:]]))
    back = Enlarge()(halved, (59, 59))
    torch.testing.assert_close(back[..., 1:57], ramp[..., 1:57])


@pytest.mark.parametrize("size", [59, 37])
def test_the_generator_takes_pictures_of_any_size(size: int) -> None:
    made, masks = Generator(GeneratorConfig(widths=(4, 6, 8, 8)))(
        torch.rand(2, 6, size, size), torch.zeros(2, 1, size, size)
    )
    assert made.shape[-2:] == masks.shape[-2:] == (size, size)


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_smallest_pictures_that_discriminators_take(name: str) -> None:
    config = NETWORKS[name].discriminators
    with pytest.raises(UserError, match="too small") as refusal:
        config.check(4)
    smallest = int(str(refusal.value).split("give ")[1].split()[0])
    config.check(smallest)
    net = Discriminators(replace(config, widths=tuple(2 for _ in config.widths)))
    assert all(score.numel() for score in net(torch.rand(1, 6, smallest, smallest)))
    with pytest.raises((ValueError, RuntimeError)):  # one cell to normalize, or none
        net(torch.rand(1, 6, smallest // 2, smallest // 2))


@pytest.mark.parametrize(("trunk", "join"), [("grasping44", "project"), ("grasping44", "add"), ("small", "grasping44")])
def test_every_trunk_goes_with_every_head(trunk: str, join: str) -> None:
    net = GraspNet(GraspNetConfig(image_size=80, trunk=trunk, join=join, width=6, head=8)).eval()
    draw = torch.Generator().manual_seed(0)
    poses, commands = torch.tensor([[0.5, 0.05, 0.2, 0.3]] * 2), torch.randn(2, 3, 5, generator=draw) * 0.05
    features = net.encode(torch.rand(2, 6, 80, 80, generator=draw))
    together = net.score(features, poses, commands)
    alone = torch.cat([net.score(features, poses, commands[:, [n]]) for n in range(3)], dim=1)
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-4)
    assert net.segment(features).shape == (2, 2, 4, *features.shape[-2:])


def test_cells_are_where_the_picture_is() -> None:
    """The cell of Grasping44's map that sees a bright spot is where masks are read and the gripper is located."""
    net = GraspNet(replace(NARROW, width=1)).eval()
    for conv in net.trunk.convs:
        nn.init.zeros_(conv.weight)
        conv.weight.data[..., 2, 2] = 1
    nn.init.ones_(net.trunk.stem.weight)
    picture, row, column = torch.zeros(1, 6, 472, 472), 18 * 20 + 9, 18 * 3 + 9
    picture[..., row - 1 : row + 1, column - 1 : column + 1] = 1
    features = net.encode(picture)
    assert (features[0, 0] == features.max()).nonzero().tolist() == [[20, 3]]
    masks = torch.zeros(1, 2, 236, 236, dtype=torch.int64)
    masks[..., (row - 1) // 2, (column - 1) // 2] = 3
    assert (net.thinned(masks)[0, 0] == 3).nonzero().tolist() == [[20, 3]]
    nn.init.zeros_(net.locator.weight)
    net.locator.weight.data[0, 0, 1, 1] = 1e3
    expected = torch.tensor([column, row]) / 236 - 1
    torch.testing.assert_close(net.locate(features)[0], expected, atol=1e-2, rtol=0)


def test_the_crop_reads_a_large_map_where_the_target_is_seen() -> None:
    torch.manual_seed(0)
    net = GraspNet(replace(NARROW, join="project", head=16, crop_size=0.001)).eval()
    target = torch.tensor([0.62, 0.1, 0.03])
    pose, command = torch.tensor([[0.55, 0.0, 0.2, 0.0]]), torch.tensor([[[0.07, 0.1, -0.17, 0.0, 1.0]]])
    features = torch.rand(1, 4, 27, 27, requires_grad=True)
    net.score(features, pose, command).sum().backward()
    assert features.grad is not None
    weight = features.grad.abs().sum(dim=(0, 1))
    cells = torch.stack([(weight.sum(1 - axis) * torch.arange(27)).sum() / weight.sum() for axis in (1, 0)])
    pixels = (torch.from_numpy(net.config.camera.project(target.double().numpy())) + 1) * 236
    torch.testing.assert_close((cells.double() + 0.5) * 18, pixels, atol=1.0, rtol=0)


def test_masks_at_half_resolution_are_the_small_networks_own() -> None:
    masks = torch.randint(0, 4, (2, 2, 32, 32))
    assert GraspNet(GraspNetConfig()).thinned(masks) is masks


@pytest.mark.parametrize(("trunk", "smallest"), [("grasping44", 218), ("small", 25)])
def test_pictures_too_small_for_grasping44_are_refused(trunk: str, smallest: int) -> None:
    config = replace(NARROW, trunk=trunk, fine=2, coarse=2)
    with pytest.raises(UserError, match=f"--image-size {smallest} or more"):
        config.fitted(smallest - 1, None)
    net = GraspNet(config.fitted(smallest, Camera()))
    assert net(torch.zeros(2, 6, smallest, smallest), torch.zeros(2, 4), torch.zeros(2, 1, 5)).shape == (2, 1)


def test_what_the_user_sets_stays() -> None:
    chosen = resized(GeneratorConfig(skip=0.7), "paper")
    assert chosen == replace(NETWORKS["paper"].generator, skip=0.7)
    assert resized(GraspNetConfig(), "demo") == GraspNetConfig()


def test_what_a_method_sets_by_itself_is_not_the_users() -> None:
    widths = NETWORKS["paper"].generator.widths
    for name in ("cyclegan", "perceptual", "rcan"):
        generator = with_networks(METHODS[name](), "paper", name).generator  # type: ignore[attr-defined]
        assert (generator.widths, generator.noise) == (widths, 0)  # without noise they are as published
    chosen = CycleGanConfig(generator=GeneratorConfig(widths=(8, 16), noise=0))
    assert with_networks(chosen, "paper", "cyclegan").generator.widths == (8, 16)
    assert with_networks(chosen, "demo", "cyclegan") == chosen


@dataclass(frozen=True)
class _Bare:
    weight: float = 1.0


@dataclass(frozen=True)
class _Two(_Bare):
    there: GeneratorConfig = field(default_factory=GeneratorConfig)
    judge: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)


def test_all_networks_of_a_method_are_resized() -> None:
    paper = NETWORKS["paper"]
    assert with_networks(_Two(2.0), "paper", "two") == _Two(2.0, paper.generator, paper.discriminators)
    assert with_networks(_Bare(), "demo", "bare") == _Bare()
    with pytest.raises(UserError, match="method 'bare' has no networks"):
        with_networks(_Bare(), "paper", "bare")
    with pytest.raises(UserError, match="did you mean 'paper'"):
        with_networks(_Two(), "papr", "two")


@pytest.mark.parametrize("features", [(), ("consistency", "dbn")])
@pytest.mark.parametrize(("trunk", "join"), [("grasping44", "project"), ("small", "grasping44")])
def test_the_published_halves_train_in_the_same_loop(
    sim_data: Path, real_data: Path, features: tuple[str, ...], trunk: str, join: str
) -> None:
    network = GraspNetConfig(32, trunk, join, width=8, fine=4, coarse=4, head=8, camera=SIM.camera)
    config = GraspTrainingConfig(
        network=network, methods={name: FEATURES[name]() for name in features}, steps=3, batch=4, recalibration=2
    )
    real = open_dataset(real_data).unlabelled() if features else None
    trainer = GraspTrainer(config, GraspData(open_dataset(sim_data).simulated(), unlabelled=real), torch.device("cpu"))
    losses = [trainer.step(step) for step in range(3)]
    assert set(losses[-1]) == {"sim", "masks"} | ({"location", "consistency"} if features else set())
    used = [*trainer.net.trunk.parameters(), *trainer.net.head.parameters(), *trainer.net.segmenter.parameters()]
    assert all(parameter.grad is not None for parameter in used)
    predictor = NetworkPredictor(trainer.finished(), Domain.REALITY if features else Domain.SIMULATION)
    assert not predictor.net.training


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_command_prints_every_network(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "--networks", name]) == 0
    printed = capsys.readouterr().out
    for network, (parameters, multiply_adds, *_) in PINNED[name].items():
        assert any(
            line.startswith(network) and f"{parameters:,}" in line and f"{multiply_adds:,}" in line
            for line in printed.splitlines()
        )


def test_paper_networks_on_small_pictures_are_refused_before_anything_is_written(
    tmp_path: Path, sim_data: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--sim", str(sim_data), "--networks", "paper", "--image-size", "32")
    for words in (
        ("train", str(tmp_path / "a"), *common),
        ("adapt", str(tmp_path / "b"), *common, "--real", str(real_data)),
    ):
        assert main(words) == 2
        assert "too small" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [32, 33, 47])
def test_a_segmenter_draws_half_of_each_side_odd_or_not(size: int) -> None:
    pictures, masks = torch.zeros(2, 6, size, size), torch.zeros(2, 2, size, size, dtype=torch.long)
    logits = Segmenter(SegmenterConfig())(pictures)
    assert logits.shape[-2:] == masks[:, :, ::2, ::2].shape[-2:]


@pytest.mark.parametrize(("scales", "last"), [(1, 3), (3, 3), (1, 6), (2, 7), (1, 10)])
def test_discriminators_take_the_smallest_pictures_that_they_claim_to(scales: int, last: int) -> None:
    config = DiscriminatorsConfig(scales=scales, widths=(2, 3, 4), last=last)
    with pytest.raises(UserError, match="is too small") as refusal:
        config.check(8)
    smallest = int(re.findall(r"give (\d+)", str(refusal.value))[0])
    config.check(smallest)
    verdicts = Discriminators(config)(torch.zeros(1, 6, smallest, smallest))
    assert len(verdicts) == scales
