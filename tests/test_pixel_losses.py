"""How pixel-level methods use their losses: every turn against the formulas of its paper, and whom it teaches. The
losses by themselves are in `test_losses`, `test_gan_losses` and `test_pixel_methods`, RCAN's in `test_front_end`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from graspgap.adaptation.augment import augmented, recoloured
from graspgap.adaptation.losses import feature_matching, lsgan_discriminator, lsgan_generator
from graspgap.adaptation.pixel import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.cut import Cut, CutConfig, FastCutConfig
from graspgap.adaptation.pixel.cyclegan import CycleGan, CycleGanConfig
from graspgap.adaptation.pixel.graspgan import GraspGan, GraspGanConfig
from graspgap.adaptation.pixel.perceptual import Perceptual, PerceptualConfig
from graspgap.adaptation.pixel.pixelda import PixelDa, PixelDaConfig
from graspgap.adaptation.pixel.simgan import SimGan, SimGanConfig
from graspgap.networks import DiscriminatorsConfig, GeneratorConfig, SegmenterConfig
from graspgap.networks.normalization import Domain
from graspgap.training.engine import Engine
from trainers import CPU, NETWORK

SIZE = 16
"""Pixels of a side."""
OLD = 0.25
"""Of all pictures in SimGAN's history."""
GENERATOR = GeneratorConfig(widths=(4, 6))
CRITICS = DiscriminatorsConfig(scales=2, widths=(4, 6))
GRASP = replace(NETWORK, image_size=SIZE, fine=4, coarse=4, head=8, own_affine=True)
GRASPGAN = GraspGanConfig(GENERATOR, CRITICS, GRASP, adversarial=2.0, content=3.0, masks=5.0, task=7.0, features=11.0)
PIXELDA = PixelDaConfig(
    width=4,
    blocks=1,
    critic_widths=(4, 6),
    critic_noise=0.0,
    critic_dropout=0.0,
    grasp=GRASP,
    adversarial=2.0,
    task=3.0,
    content=5.0,
    image_size=SIZE,
)
SIMGAN = SimGanConfig(
    width=4,
    blocks=1,
    critic_widths=(6, 6, 6, 6),
    regularization=3.0,
    refiner_only=0.25,
    critic_only=0.25,
    history=4,
    image_size=SIZE,
)
CYCLEGAN = CycleGanConfig(GENERATOR, CRITICS, adversarial=2.0, cycle=3.0, identity=5.0, history=0, image_size=SIZE)
PERCEPTUAL = PerceptualConfig(
    GENERATOR,
    CRITICS,
    adversarial=2.0,
    cycle=3.0,
    history=0,
    image_size=SIZE,
    judge=SegmenterConfig((4, 6)),
    judge_share=0.25,
    perception=7.0,
)
CUT = CutConfig(GENERATOR, CRITICS, adversarial=2.0, contrast=3.0, temperature=0.2, patches=SIZE * SIZE, width=8)
FASTCUT = replace(FastCutConfig(**vars(CUT)), identity=False, flip=True)


@dataclass(frozen=True)
class Case:
    config: PixelConfig
    progress: float = 0.9
    seed: int = 0
    """Of the step's random numbers: FastCUT mirrors with 1 and doesn't with 0."""


CASES = {
    "graspgan": Case(GRASPGAN),
    "graspgan, augmented": Case(replace(GRASPGAN, augment=True)),
    "graspgan, head": Case(replace(GRASPGAN, match_head=True)),
    "graspgan, no grasp network": Case(replace(GRASPGAN, task=0.0, features=0.0)),
    "pixelda": Case(PIXELDA),
    "simgan, copies": Case(SIMGAN, progress=0.0),
    "simgan, critic alone": Case(SIMGAN, progress=0.25),
    "simgan": Case(SIMGAN, progress=0.5),
    "cyclegan": Case(CYCLEGAN),
    "cyclegan, no identity": Case(replace(CYCLEGAN, identity=0.0)),
    "perceptual, judge": Case(PERCEPTUAL, progress=0.0),
    "perceptual": Case(PERCEPTUAL, progress=0.25),
    "cut": Case(CUT),
    "fastcut": Case(FASTCUT),
    "fastcut, mirrored": Case(FASTCUT, seed=1),
}
GAMES = ("graspgan", "pixelda", "simgan", "cyclegan", "perceptual", "cut", "fastcut")


class Turn(NamedTuple):
    """A turn as its paper has it: whose it is, the networks that learn in it, and their losses."""

    side: str
    taught: set[str]
    losses: Losses


@pytest.fixture(autouse=True)
def _one_thread_in_64_bits() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def built(config: PixelConfig) -> PixelMethod:
    torch.manual_seed(0)
    method = config.build().train()
    with torch.no_grad():
        for parameter in method.parameters():  # so that no two domains or networks are alike
            parameter.add_(0.1 * torch.randn_like(parameter))
    if isinstance(method, SimGan):
        method.history.pictures.fill_(OLD)
        method.history.count.fill_(len(method.history.pictures))
    return method


def batch(count: int = 4) -> AdapterBatch:
    """Noise, brighter in reality; three in four grasps succeed."""
    draw = torch.Generator().manual_seed(0)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw)

    return AdapterBatch(
        pictures=1.2 * uniform(count, 6, SIZE, SIZE) - 0.9,
        masks=torch.randint(4, (count, 2, SIZE, SIZE), generator=draw),
        poses=torch.tensor([0.5, 0.0, 0.2, 0.0]) + 0.1 * uniform(count, 4),
        commands=0.05 * uniform(count, 1, 5),
        success=(torch.arange(count) != 1).double()[:, None],
        real=uniform(count, 6, SIZE, SIZE),
        noise=torch.randn(count, 1, SIZE, SIZE, generator=draw),
        draws=uniform(2, count, 5),
    )


def mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()


def total(losses: Losses) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def squares(scores: list[Tensor], target: float) -> Tensor:
    """Mao et al. 2017: (D - target)^2, over patches, then scales."""
    return mean([((score - target) ** 2).mean() for score in scores])


def entropy(logits: Tensor, truth: Tensor | float) -> Tensor:
    """-t log p - (1 - t) log(1 - p)."""
    p = 1 / (1 + torch.exp(-logits))
    return -(truth * torch.log(p) + (1 - truth) * torch.log(1 - p)).mean()


def shares(logits: Tensor, dim: int) -> Tensor:
    return logits.exp() / logits.exp().sum(dim, keepdim=True)


def surprise(logits: Tensor, truth: Tensor, dim: int) -> Tensor:
    """-log p of the true class."""
    return -shares(logits, dim).gather(dim, truth.unsqueeze(dim)).log().mean()


def content(made: Tensor, source: Tensor, masks: Tensor) -> Tensor:
    """Mean of ((d_i - d_j)^2) over all pairs of values on arm (2) and objects (3), for each picture."""
    losses = []
    for difference, mask in zip((made - source).reshape(-1, 3, SIZE, SIZE), masks.flatten(0, 1), strict=True):
        inside = difference[:, (mask == 2) | (mask == 3)].flatten()
        losses.append(torch.pdist(inside[:, None]).square().mean())
    return mean(losses)


def apart(one: Tensor, other: Tensor) -> Tensor:
    """1 - 2 pq / (p^2 + q^2), sums over pixels, for each picture and class."""
    p, q = shares(one, -3), shares(other, -3)
    return (1 - 2 * (p * q).sum((-2, -1)) / (p * p + q * q).sum((-2, -1))).mean()


def graspgan(method: GraspGan, batch: AdapterBatch, progress: float) -> Iterator[Turn]:
    config, (of_real, of_made) = method.config, batch.draws
    made, masks = method.generator(batch.pictures, batch.noise)
    reads = bool(config.task or config.features)

    def judged(pairs: Tensor, draws: Tensor) -> list[Tensor]:
        scores: list[Tensor] = method.discriminators(augmented(pairs, draws) if config.augment else pairs)
        return scores

    def predicted(pairs: Tensor, domain: Domain) -> Tensor:
        logits: Tensor = method.grasp(pairs, batch.poses, batch.commands, domain)
        return logits

    fixed = made.detach()
    losses = {"critic": (squares(judged(batch.real, of_real), 1) + squares(judged(fixed, of_made), 0)) / 2}
    if reads:
        source, adapted = predicted(batch.pictures, Domain.SIMULATION), predicted(fixed, Domain.REALITY)
        losses["grasp"] = entropy(source, batch.success) + entropy(adapted, batch.success)
    yield Turn("critics", {"discriminators", "grasp"} if reads else {"discriminators"}, losses)
    losses = {
        "adversarial": 2 * squares(judged(made, of_made), 1),
        "content": 3 * content(made, batch.pictures, batch.masks),
        "masks": 5 * surprise(masks, batch.masks, 2),
    }
    if reads:
        found, known = method.grasp.encode(made, Domain.REALITY), method.grasp.encode(batch.pictures, Domain.SIMULATION)
        if config.match_head:
            found, known = (
                method.grasp.embed(maps, batch.poses, batch.commands, domain)
                for maps, domain in ((found, Domain.REALITY), (known, Domain.SIMULATION))
            )
        losses["task"] = 7 * entropy(predicted(made, Domain.REALITY), batch.success)
        losses["features"] = 11 * ((found - known) ** 2).mean()
    yield Turn("generator", {"generator"}, losses)


def pixelda(method: PixelDa, batch: AdapterBatch, progress: float) -> Iterator[Turn]:
    made = method.make(batch.pictures)
    fixed = made.detach()
    source = method.grasp(batch.pictures, batch.poses, batch.commands, Domain.SIMULATION)
    adapted = method.grasp(fixed, batch.poses, batch.commands, Domain.REALITY)
    losses = {
        "critic": entropy(method.critic(batch.real), 1.0) + entropy(method.critic(fixed), 0.0),
        "grasp": entropy(source, batch.success) + entropy(adapted, batch.success),
    }
    yield Turn("critics", {"critic", "grasp"}, losses)
    predicted = method.grasp(made, batch.poses, batch.commands, Domain.REALITY)
    losses = {
        "adversarial": 2 * entropy(method.critic(made), 1.0),
        "task": 3 * entropy(predicted, batch.success),
        "content": 5 * content(made, batch.pictures, batch.masks),
    }
    yield Turn("generator", {"project", "generator"}, losses)


def simgan(method: SimGan, batch: AdapterBatch, progress: float) -> Iterator[Turn]:
    def local(pairs: Tensor, kind: int) -> Tensor:
        """Of places: 0 is real, 1 refined."""
        logits = method.critic(pairs)
        return surprise(logits, torch.full((len(pairs), *logits.shape[2:]), kind), 1)

    for _ in range(1 if progress < 0.25 else 0 if progress < 0.5 else 2):
        refined = method.refiner(batch.pictures)
        losses = {"regularization": 3 * (refined - batch.pictures).abs().mean()}
        if progress >= 0.5:
            losses["adversarial"] = local(refined, 0)
        yield Turn("refiner", {"refiner"}, losses)
    if progress >= 0.25:
        shown = method.refiner(batch.pictures).detach()
        shown[2:] = OLD
        yield Turn("critic", {"critic"}, {"critic": local(shown, 1) + local(batch.real, 0)})


def cyclegan(method: CycleGan, batch: AdapterBatch, progress: float) -> Iterator[Turn]:
    def there(pairs: Tensor) -> Tensor:
        made: Tensor = method.to_real(pairs, batch.noise)
        return made

    def back(pairs: Tensor) -> Tensor:
        made: Tensor = method.to_sim(pairs, batch.noise)
        return made

    x, y = batch.pictures, batch.real
    made, simulated = there(x), back(y)
    losses = {
        "adversarial": 2 * squares(method.critic_real(made), 1),
        "adversarial_back": 2 * squares(method.critic_sim(simulated), 1),
        "cycle": 3 * ((back(made) - x).abs().mean() + (there(simulated) - y).abs().mean()),
    }
    if method.config.identity:
        losses["identity"] = 3 * 5 * ((there(y) - y).abs().mean() + (back(x) - x).abs().mean())
    if isinstance(method, Perceptual):
        losses["perception"] = torch.zeros(())
        for group in ((x, made, back(made)), (y, simulated, there(simulated))):
            given, after, cycled = map(method.judge, group)
            halves = apart(given, cycled) + apart(after, cycled)
            losses["perception"] = losses["perception"] + 7 * (apart(given, after) + halves / 2)
    yield Turn("generators", {"to_real", "to_sim"}, losses)
    losses = {
        "critic": (squares(method.critic_real(y), 1) + squares(method.critic_real(made.detach()), 0)) / 2,
        "critic_back": (squares(method.critic_sim(x), 1) + squares(method.critic_sim(simulated.detach()), 0)) / 2,
    }
    yield Turn("critics", {"critic_real", "critic_sim"}, losses)


def perceptual(method: Perceptual, batch: AdapterBatch, progress: float) -> Iterator[Turn]:
    if progress >= 0.25:
        yield from cyclegan(method, batch, progress)
        return
    seen = method.judge(recoloured(batch.pictures, batch.masks))
    yield Turn("judge", {"judge"}, {"judge": surprise(seen, batch.masks[:, :, ::2, ::2], 2)})


def cut(method: Cut, batch: AdapterBatch, progress: float) -> Iterator[Turn]:
    mirrored = method.config.flip and float(torch.rand(())) < 0.5

    def turned(maps: Tensor) -> Tensor:
        return maps.flip(-1) if mirrored else maps

    def contrast(source: Tensor) -> tuple[Tensor, Tensor]:
        """Park et al. 2020: what is made, and -log of the share that a place's own likeness has of all places'."""
        noise, losses = turned(batch.noise), []
        made = method.generator(turned(source), noise)
        sources = [source, *method.generator.encode(source, batch.noise)]
        results = [turned(maps) for maps in (made, *method.generator.encode(made, noise))]
        for layer, *maps in zip(method.projections.layers, results, sources, strict=True):
            query, key = (layer(places.flatten(2).transpose(1, 2)) for places in maps)
            query, key = (each / (each**2).sum(-1, keepdim=True).sqrt() for each in (query, key.detach()))
            likeness = torch.exp(query @ key.transpose(1, 2) / 0.2)
            losses.append(-(likeness.diagonal(dim1=1, dim2=2) / likeness.sum(-1)).log().mean())
        return turned(made), mean(losses)

    made, kept = contrast(batch.pictures)
    judged = squares(method.discriminators(batch.real), 1) + squares(method.discriminators(made.detach()), 0)
    yield Turn("critics", {"discriminators"}, {"critic": judged / 2})
    losses = {"adversarial": 2 * squares(method.discriminators(made), 1), "contrast": 3 * kept}
    if method.config.identity:
        losses |= {"contrast": 3 * kept / 2, "identity": 3 * contrast(batch.real)[1] / 2}
    yield Turn("generator", {"generator", "projections"}, losses)


PAPERS: dict[type[PixelMethod], Callable[[Any, AdapterBatch, float], Iterator[Turn]]] = {
    GraspGan: graspgan,
    PixelDa: pixelda,
    SimGan: simgan,
    CycleGan: cyclegan,
    Perceptual: perceptual,
    Cut: cut,
}


def side_by_side(method: PixelMethod, case: Case) -> Iterator[tuple[tuple[str, Losses], Turn]]:
    """The turns of a method and of its paper, with the same random numbers and weights."""
    turns = method.turns(batch(), case.progress)
    paper = PAPERS[type(method)](method, batch(), case.progress)
    while True:
        torch.manual_seed(case.seed)
        turn = next(turns, None)
        torch.manual_seed(case.seed)
        published = next(paper, None)
        if turn is None or published is None:
            assert turn is None
            assert published is None
            return
        assert turn[0] == published.side
        yield turn, published


@pytest.mark.parametrize("name", CASES)
def test_every_turn_has_the_published_losses(name: str) -> None:
    for (_, losses), published in side_by_side(built(CASES[name].config), CASES[name]):
        torch.testing.assert_close(losses, published.losses)


@pytest.mark.parametrize("name", CASES)
def test_every_turn_descends_the_published_gradient_on_its_own_side_alone(name: str) -> None:
    method, engine = built(CASES[name].config), Engine(CPU)
    optimizers, weights = method.optimizers(), dict(method.named_parameters())
    for (side, losses), published in side_by_side(method, CASES[name]):
        own = {key for key in weights if key.split(".")[0] in published.taught}
        gradients = torch.autograd.grad(
            total(published.losses), [weights[key] for key in own], retain_graph=True, allow_unused=True
        )
        before = {key: weight.detach().clone() for key, weight in weights.items()}
        engine.descend(side, losses, optimizers[side])
        for key, gradient in zip(own, gradients, strict=True):
            torch.testing.assert_close(weights[key].grad, gradient, msg=f"{side}: {key}")
        moved = {key for key, weight in weights.items() if not torch.equal(weight, before[key])}
        assert {key.split(".")[0] for key in moved} == published.taught


@pytest.mark.parametrize("name", [*GAMES, "perceptual, judge"])
def test_what_critics_and_judges_learn_from_doesnt_reach_the_generator(name: str) -> None:
    method, sides = built(CASES[name].config), []
    for (side, losses), published in side_by_side(method, CASES[name]):
        if side in ("critics", "critic", "judge"):
            others = [w for key, w in method.named_parameters() if key.split(".")[0] not in published.taught]
            reached = torch.autograd.grad(total(losses), others, allow_unused=True)
            assert all(gradient is None for gradient in reached)
            sides.append(side)
    assert len(sides) == 1


@pytest.mark.parametrize(("match_head", "runs"), [(False, 1), (True, 2)])
def test_the_generators_turn_runs_the_head_once_for_each_picture_that_it_reads(match_head: bool, runs: int) -> None:
    method, heads = built(replace(GRASPGAN, match_head=match_head)), []
    assert isinstance(method, GraspGan)
    method.grasp.head.register_forward_hook(lambda *_: heads.append(1))
    seen = batch()
    method.generator_losses(seen, *method.generator(seen.pictures, seen.noise))
    assert len(heads) == runs


def descended(method: PixelMethod, side: str, loss: Tensor, length: float) -> None:
    """A short step straight down one loss, with the weights of one side."""
    own = [weight for group in method.optimizers()[side].param_groups for weight in group["params"]]
    gradients = torch.autograd.grad(loss, own, allow_unused=True, materialize_grads=True)
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    with torch.no_grad():
        for weight, gradient in zip(own, gradients, strict=True):
            weight -= length / norm * gradient


@torch.no_grad()
def verdicts(method: PixelMethod) -> tuple[float, float]:
    """Of real and of made pictures."""
    seen = batch()
    torch.manual_seed(0)
    made = method.adapt(seen.pictures, seen.masks, seen.noise)
    of_real, of_made = (mean([verdict.mean() for verdict in method.verdicts(pairs)]) for pairs in (seen.real, made))
    return float(of_real), float(of_made)


def turn_with(method: PixelMethod, name: str) -> tuple[str, Tensor]:
    """The side that has a loss of this name, and the loss."""
    torch.manual_seed(0)
    return next((side, losses[name]) for side, losses in method.turns(batch(), 0.9) if name in losses)


def verdicts_around_a_step(game: str, name: str) -> tuple[float, float, float, float]:
    """Of real and of made pictures, before and after a step down the loss of this name, which falls."""
    method = built(CASES[game].config)
    before = verdicts(method)
    side, loss = turn_with(method, name)
    descended(method, side, loss, 0.01)
    assert turn_with(method, name)[1] < loss
    return (*before, *verdicts(method))


@pytest.mark.parametrize("name", GAMES)
def test_the_generators_step_makes_what_the_critics_take_for_real(name: str) -> None:
    real, made, real_then, made_then = verdicts_around_a_step(name, "adversarial")
    assert made_then > made
    assert real_then == real


@pytest.mark.parametrize("name", GAMES)
def test_the_critics_step_parts_real_from_made(name: str) -> None:
    real, made, real_then, made_then = verdicts_around_a_step(name, "critic")
    assert real_then - made_then > real - made


def test_lsgans_gradients_are_the_closed_form_derivatives() -> None:
    torch.manual_seed(0)
    real, made = ([torch.randn(3, 1, side, side).requires_grad_() for side in (5, 2)] for _ in range(2))
    critics = torch.autograd.grad(lsgan_discriminator(real, made), [*real, *made])
    generators = torch.autograd.grad(lsgan_generator(made), made)
    slopes = [*(r - 1 for r in real), *made, *(2 * (m - 1) for m in made)]
    for gradient, slope in zip([*critics, *generators], slopes, strict=True):
        torch.testing.assert_close(gradient, slope.detach() / slope.numel() / 2)  # there are two scales


def test_feature_matching_is_squared_and_draws_the_made_side_alone() -> None:
    torch.manual_seed(0)
    made, source = (torch.randn(2, 3, 4).requires_grad_() for _ in range(2))
    loss, difference = feature_matching(made, source), (made - source).detach()
    assert loss.item() == pytest.approx(difference.square().sum().item() / 24)
    ours, theirs = torch.autograd.grad(loss, [made, source], allow_unused=True)
    torch.testing.assert_close(ours, 2 * difference / 24)
    assert theirs is None
