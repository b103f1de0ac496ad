import numpy as np
import pytest
import torch

from graspgap.contract import Camera, command_between
from graspgap.networks import (
    Discriminators,
    DiscriminatorsConfig,
    DomainBatchNorm,
    Generator,
    GeneratorConfig,
    GraspNet,
    GraspNetConfig,
)
from graspgap.networks.normalization import Domain
from graspgap.networks.projection import Projection


def pictures(count: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 6, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_batch_statistics_stay_apart_per_domain() -> None:
    norm = DomainBatchNorm(3).train()
    norm(torch.randn(8, 3, 4, 4) + 5, Domain.SIMULATION)
    assert norm.running_mean[Domain.REALITY].abs().max() == 0
    assert norm.running_mean[Domain.SIMULATION].min() > 0.1
    before = norm.running_mean[Domain.SIMULATION].clone()
    norm(torch.randn(8, 3, 4, 4) - 5, Domain.REALITY)
    torch.testing.assert_close(norm.running_mean[Domain.SIMULATION], before, rtol=0, atol=0)
    assert norm.running_mean[Domain.REALITY].max() < -0.1


def test_domain_batch_norm_equals_torch_for_one_domain() -> None:
    ours, theirs = DomainBatchNorm(4, momentum=0.1), torch.nn.BatchNorm2d(4)
    for seed in range(3):
        x = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(ours(x, Domain.REALITY), theirs(x))
    torch.testing.assert_close(ours.eval()(x, Domain.REALITY), theirs.eval()(x))


def test_the_projection_is_the_cameras() -> None:
    camera = Camera(roll=3.0)
    points = np.random.default_rng(0).uniform((0.4, -0.2, 0), (0.7, 0.2, 0.3), (20, 3))
    seen = Projection(camera)(torch.from_numpy(points).float())
    np.testing.assert_allclose(seen.numpy(), camera.project(points), atol=1e-5)


def test_a_network_can_be_aimed_through_another_camera() -> None:
    other = Camera(position=(0.2, -0.5, 0.9), fov=30.0)
    moved, native = (GraspNet(GraspNetConfig(camera=camera)).eval() for camera in (Camera(), other))
    native.load_state_dict(moved.state_dict())
    poses, commands = torch.tensor([[0.5, 0.05, 0.2, 0.3]]), torch.tensor([[[0.05, -0.02, -0.1, 0.0, 1.0]]])
    features = moved.encode(pictures(1))
    before = moved.score(features, poses, commands)
    moved.aim(other)
    assert not torch.allclose(moved.score(features, poses, commands), before)
    torch.testing.assert_close(moved.score(features, poses, commands), native.score(features, poses, commands))


@pytest.mark.parametrize("join", ["add", "project"])
@pytest.mark.parametrize("size", [64, 48])
def test_scoring_many_commands_equals_scoring_each(join: str, size: int) -> None:
    net = GraspNet(GraspNetConfig(image_size=size, join=join)).eval()
    poses = torch.tensor([[0.5, 0.05, 0.2, 0.3], [0.6, -0.05, 0.1, -1.0]])
    commands = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0)) * 0.05
    features = net.encode(pictures(2, size))
    together = net.score(features, poses, commands)
    assert together.shape == (2, 5)
    alone = torch.cat([net.score(features, poses, commands[:, [n]]) for n in range(5)], dim=1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_the_projected_head_reads_the_picture_at_the_target_only() -> None:
    net = GraspNet(GraspNetConfig()).eval()
    pose, target = np.array([0.55, 0, 0.2, 0.0]), np.array([0.60, 0.05, 0.03, 0.4])
    command = torch.from_numpy(command_between(pose, target))[None, None]
    features = torch.randn(1, net.channels, 32, 32, generator=torch.Generator().manual_seed(0))
    features.requires_grad_()
    net.score(features, torch.from_numpy(pose).float()[None], command).sum().backward()
    assert features.grad is not None
    touched = features.grad.abs().sum(dim=(0, 1)).nonzero().float().mean(dim=0)  # (row, column)
    seen = net.config.camera.project(target[:3])
    expected = (seen + 1) / 2 * 32 - 0.5
    np.testing.assert_allclose(touched.numpy(), expected[::-1], atol=1.0)


def test_a_picture_moved_with_its_shift_scores_the_same() -> None:
    net = GraspNet(GraspNetConfig(camera=Camera(fov=60))).eval()  # a wide view keeps the crop off the border
    pose = torch.tensor([[0.55, 0.0, 0.2, 0.0]])
    command = torch.tensor([[[0.02, 0.01, -0.17, 0.0, 1.0]]])
    image = torch.zeros(1, 6, 64, 64)
    image[:, :, 24:40, 24:40] = pictures(1, 16)
    moved = image.roll((4, -4), dims=(2, 3))  # 4 pixels down, 4 to the left
    shift = torch.tensor([[-4 / 32, 4 / 32]])
    still = net.score(net.encode(image), pose, command)
    torch.testing.assert_close(net.score(net.encode(moved), pose, command, shift=shift), still, atol=1e-4, rtol=1e-4)


def test_locate_finds_a_peak_where_it_is() -> None:
    net = GraspNet(GraspNetConfig())
    torch.nn.init.zeros_(net.locator.weight)
    with torch.no_grad():
        net.locator.weight[0, 0, 1, 1] = 50.0
    features = torch.zeros(1, net.channels, 32, 32)
    features[0, 0, 8, 24] = 1.0
    torch.testing.assert_close(net.locate(features)[0], torch.tensor([24.5, 8.5]) / 16 - 1, atol=1e-3, rtol=0)


def test_the_generator_returns_pictures_and_masks_of_its_input_size() -> None:
    generator = Generator(GeneratorConfig(widths=(4, 6, 8)))
    made, masks = generator(pictures(2, 32), torch.zeros(2, 1, 32, 32))
    assert made.shape == (2, 6, 32, 32)
    assert masks.shape == (2, 2, 4, 32, 32)
    assert made.abs().max() <= 1


def test_the_generators_noise_reaches_the_picture() -> None:
    generator = Generator(GeneratorConfig(widths=(4, 6, 8))).eval()
    image = pictures(1, 32)
    quiet, noisy = (generator(image, scale * torch.randn(1, 1, 32, 32))[0] for scale in (0, 1))
    assert not torch.allclose(quiet, noisy)


def test_discriminators_see_the_pair_at_every_scale() -> None:
    scores = Discriminators(DiscriminatorsConfig())(pictures(2))
    assert [score.shape[-1] for score in scores] == [15, 7, 3]
