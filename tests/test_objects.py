"""Prisms and everyday objects: repeatable, disjoint splits, of a size to grasp, drawn as they collide."""

from collections import Counter
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import trimesh
from scipy.spatial import ConvexHull

from graspgap.contract import Workspace
from graspgap.errors import UserError
from graspgap.objects import OBJECT_SETS, make_object_set
from graspgap.objects.everyday import EVERYDAY
from graspgap.objects.families import FamilySet, Kinds
from graspgap.objects.model import ObjectModel, ObjectSet, Part, part_volume
from graspgap.objects.parts import bounds, centre_of_mass, facing, part_bounds, part_centre, rod, turn_of, wxyz
from graspgap.objects.prisms import PrismConfig, Prisms
from graspgap.objects.shapes import arc, cog, cylinder, lathe, plate, rounded_box, tube
from graspgap.objects.workshop import WORKSHOP
from graspgap.seeding import generator
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig

FAMILY_SETS = {kinds.name: kinds for kinds in (EVERYDAY, WORKSHOP)}
NAMES = [name for kinds in FAMILY_SETS.values() for split in ("train", "test") for name in kinds.names(split)]


def made(name: str) -> ObjectModel:
    """An object of `EVERYDAY` or `WORKSHOP`."""
    return FAMILY_SETS[name.split("-")[0]].make(name)


def same(first: ObjectModel, second: ObjectModel) -> bool:
    """Equal to the last bit."""
    if (first.name, first.mass, first.color, len(first.parts)) != (
        second.name,
        second.mass,
        second.color,
        len(second.parts),
    ):
        return False
    for one, other in zip(first.parts, second.parts, strict=True):
        if replace(one, vertices=None) != replace(other, vertices=None):
            return False
        if not np.array_equal(one.vertices, other.vertices):
            return False
    pairs = zip(first.surfaces, second.surfaces, strict=True)
    return all(np.array_equal(a.vertices, b.vertices) and np.array_equal(a.texture, b.texture) for a, b in pairs)


def outside(part: Part, points: np.ndarray) -> np.ndarray:
    """How far points lie outside of a part [m] (of an ellipsoid: along the ray from its centre)."""
    local, size = turn_of(part).inv().apply(points - np.array(part.position)), np.array(part.size)
    if part.kind in ("sphere", "ellipsoid"):
        far = np.linalg.norm(local / size, axis=1)
        return np.linalg.norm(local, axis=1) * np.maximum(1 - 1 / np.maximum(far, 1e-9), 0)
    if part.kind == "box":
        return np.linalg.norm(np.maximum(np.abs(local) - size, 0), axis=1)
    radius, along = np.hypot(local[:, 0], local[:, 1]), np.maximum(np.abs(local[:, 2]) - size[1], 0)
    if part.kind == "capsule":
        return np.maximum(np.hypot(radius, along) - size[0], 0)
    return np.hypot(np.maximum(radius - size[0], 0), along)


# -- sets ------------------------------------------------------------------------------------------------------------


NAMED = [name for name, kind in OBJECT_SETS.items() if kind.folder != "must"]
SETS = [name for name in NAMED if name != "published" or find_spec("pybullet_data")]


@pytest.mark.parametrize("name", [*SETS, "prisms:parts=3-5,smooth=0.6,textured=0.7"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_set_gives_different_objects_that_repeat(name: str, split: str) -> None:
    first, second = (make_object_set(name).sample(np.random.default_rng(3), 12, split) for _ in range(2))
    assert isinstance(make_object_set(name), ObjectSet)
    assert len({thing.name for thing in first}) == 12
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert [a.name for a in first] != [
        a.name for a in make_object_set(name).sample(np.random.default_rng(4), 12, split)
    ]


def test_unknown_set_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'everyday'"):
        make_object_set("everday")


# -- prisms ----------------------------------------------------------------------------------------------------------


def test_prism_splits_share_no_id() -> None:
    rng = np.random.default_rng(0)
    ids = {
        split: [int(thing.name.removeprefix("prism-")) for thing in Prisms().sample(rng, 40, split)]
        for split in ("train", "test")
    }
    assert all(number % 10 == 0 for number in ids["test"])
    assert all(number % 10 for number in ids["train"])


def test_prisms_are_of_a_size_to_grasp() -> None:
    config = PrismConfig()
    prisms = Prisms().sample(np.random.default_rng(1), 150, "train")
    for prism in prisms:
        extents = np.sort(np.ptp(bounds(prism.parts), axis=0))
        assert extents[1] <= config.width
        assert config.extent[0] <= extents[2] <= config.extent[1]
        assert config.parts[0] <= len(prism.parts) <= config.parts[1]
        sides, slack = 2 * np.array([part.size for part in prism.parts]), 1e-12
        assert sides[:, :2].min() >= config.thickness[0] - slack
        assert sides[:, :2].max() <= config.thickness[1] + slack
        assert config.length[0] - slack <= sides[0, 2] <= config.length[1] + slack
        assert sides[1:, 2].min() >= 0.5 * config.length[0] - slack  # joined boxes are 0.5 to 0.9 as long
        assert sides[1:, 2].max() <= 0.9 * config.length[1] + slack
        assert config.mass[0] <= prism.mass <= config.mass[1]
        np.testing.assert_allclose(centre_of_mass(prism.parts), 0, atol=1e-9)
    assert len({prism.color for prism in prisms}) == 150


def test_prism_boxes_hang_together() -> None:
    for prism in Prisms().sample(np.random.default_rng(2), 40, "train"):
        centres = np.array([part.position for part in prism.parts])
        for index in range(1, len(centres)):
            assert min(outside(part, centres[index : index + 1])[0] for part in prism.parts[:index]) == 0


def test_a_prism_does_not_depend_on_its_neighbours() -> None:
    many = Prisms().sample(np.random.default_rng(5), 5, "train")
    assert all(same(thing, Prisms().make(int(thing.name.removeprefix("prism-")))) for thing in many)


def test_impossible_prisms_are_refused() -> None:
    with pytest.raises(UserError, match="widen"):
        Prisms(PrismConfig(width=0.01)).make(1)


# -- everyday and workshop objects -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kinds", "training"), [(EVERYDAY, 240), (WORKSHOP, 120)])
def test_splits_of_families(kinds: Kinds, training: int) -> None:
    train, test = kinds.names("train"), kinds.names("test")
    assert (len(train), len(test)) == (training, 36)
    assert not set(train) & set(test)
    families = {split: Counter(map(kinds.family_of, kinds.names(split))) for split in ("train", "test")}
    assert set(families["train"]) == set(kinds.train)
    unseen = set(families["test"]) - set(families["train"])
    assert unseen == set(kinds.unseen)
    assert sum(families["test"][family] for family in unseen) == 18
    assert len(set(families["test"]) & set(kinds.train)) >= 10  # spread over the known ones
    assert len(kinds.train) >= 10


@pytest.mark.parametrize("kinds", [EVERYDAY, WORKSHOP])
def test_no_test_object_is_a_training_object(kinds: Kinds) -> None:
    def key(thing: ObjectModel) -> tuple[object, ...]:
        return tuple(part.size for part in thing.parts), thing.mass

    train = {key(kinds.make(name)) for name in kinds.names("train")}
    assert len(train) == kinds.counts["train"]
    assert not train & {key(kinds.make(name)) for name in kinds.names("test")}


@pytest.mark.parametrize("name", NAMES[::23])
def test_a_family_object_depends_on_its_name_alone(name: str) -> None:
    kept = made(name)
    made("everyday-train-101")
    again = made(name)
    assert again is not kept
    assert same(again, kept)


def test_asking_for_too_many_everyday_objects() -> None:
    everyday = FamilySet(EVERYDAY)
    assert len(everyday.sample(np.random.default_rng(0), 36, "test")) == 36
    with pytest.raises(UserError, match="has 36"):
        everyday.sample(np.random.default_rng(0), 37, "test")


@pytest.mark.parametrize("name", NAMES)
def test_family_object(name: str) -> None:
    thing, kinds = made(name), FAMILY_SETS[name.split("-")[0]]
    vertices = np.concatenate([surface.vertices for surface in thing.surfaces])
    seen = np.stack([vertices.min(axis=0), vertices.max(axis=0)])
    # It collides where it is seen.
    np.testing.assert_allclose(seen, bounds(thing.parts), atol=0.0045)
    assert np.min([outside(part, vertices) for part in thing.parts], axis=0).max() < 0.006
    # A gripper that opens 10 cm spans it however it lies, and its fingers reach it on the floor.
    extents = np.sort(np.ptp(seen, axis=0))
    assert extents[0] >= 0.012
    assert extents[1] <= 0.052
    assert 0.03 <= extents[2] <= 0.13
    assert kinds.mass[0] <= thing.mass <= kinds.mass[1]
    np.testing.assert_allclose(centre_of_mass(thing.parts), 0, atol=1e-9)
    assert 1 <= len(thing.parts) <= 6
    assert all(part.kind != "mesh" for part in thing.parts)
    assert sum(len(surface.faces) for surface in thing.surfaces) <= 800
    for surface in thing.surfaces:
        check_surface(surface)


def check_surface(surface: object) -> None:
    """Indices, colours and texture coordinates are valid, no triangle is degenerate and no picture mirrored."""
    corners = surface.vertices[surface.faces]
    assert np.isfinite(surface.vertices).all()
    assert np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).min() > 0
    assert all(0 <= value <= 1 for value in (*surface.color, surface.roughness, surface.metallic))
    assert (surface.uv is None) == (surface.texture is None)
    if surface.uv is not None:
        assert surface.uv.min() >= 0
        assert surface.uv.max() <= 1
        assert surface.texture.dtype == np.uint8
        assert max(surface.texture.shape[:2]) <= 128
        a, b, c = (surface.uv[surface.faces[:, i]] for i in range(3))
        (s, t), (p, q) = (b - a).T, (c - a).T
        assert (s * q - t * p).min() >= -1e-12


def test_everyday_objects_look_different() -> None:
    things = [EVERYDAY.make(name) for split in ("train", "test") for name in EVERYDAY.names(split)]
    colors = np.array([thing.color for thing in things])
    textured = [any(surface.texture is not None for surface in thing.surfaces) for thing in things]
    metal = [any(surface.metallic > 0.5 for surface in thing.surfaces) for thing in things]
    assert colors.std(axis=0).min() > 0.2
    assert np.mean(textured) > 0.7
    assert np.mean(metal) > 0.2


def test_the_physics_puts_the_centre_of_mass_at_the_origin() -> None:
    things = [
        *FamilySet(EVERYDAY).sample(np.random.default_rng(0), 4, "test"),
        *Prisms().sample(np.random.default_rng(0), 2, "train"),
    ]
    cell = Cell(CellConfig(), Workspace())
    cell.load(things)
    for thing, body in zip(things, cell.object_bodies, strict=True):
        np.testing.assert_allclose(cell.model.body_ipos[body], 0, atol=1e-4)
        assert cell.model.body_mass[body] == pytest.approx(thing.mass)


@pytest.mark.parametrize("group", range(4))
def test_everyday_objects_come_to_rest_in_the_bin(group: int) -> None:
    """Twelve training families, then twelve objects of the unseen ones."""
    names = [*EVERYDAY.names("train")[:24:2], *EVERYDAY.names("test")[1:25:2]][6 * group : 6 * group + 6]
    cell = Cell(CellConfig(), Workspace())
    cell.load([made(name) for name in names])
    cell.settle(generator(group, "rest"))
    cell._step(1.0)
    before = cell.object_positions()
    cell._step(0.5)
    after = cell.object_positions()
    assert np.isfinite(cell.data.qpos).all()
    assert not any(warning.number for warning in cell.data.warning)
    assert len(before) == len(after) == 6
    assert np.abs(after - before).max() < 0.005


# -- shapes and parts ------------------------------------------------------------------------------------------------


def volume(shape: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    """Enclosed volume; negative where triangles face inwards."""
    vertices, faces, _ = shape
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (lathe(arc(1, 1, points=30), 60), 4 / 3 * np.pi),
        (cylinder(1, -1, 2, 80, bevel=1e-4), 3 * np.pi),
        (lathe([(0, 0), (1, 0), (1, 1), (0.5, 1), (0.5, 0.2), (0, 0.2)], 80), np.pi * (1 - 0.25 * 0.8)),
        (rounded_box((1, 2, 3), 0.01), 6),
        (cog([1.0] * 90, 0.5), np.pi),
        (cog([1.0, 1.0, 1.0, 1.0], 0.5, 0.5), 2 * 0.75),
        (tube(np.array([(x, 0, 0.0) for x in (0, 1, 2)]), np.full((3, 2), 0.5), 60), np.pi / 2),
        (tube(np.array([(0, 0, z) for z in (0, 1.0, 2)]), np.tile([0.5, 0.25], (3, 1)), 60), np.pi / 4),
        (plate([(0, -1, 1), (1, -2, 1), (2, 0, 1)], 0.5), 0.5 * (2.5 + 2)),
    ],
    ids=["ball", "cylinder", "cup", "box", "disc", "square with a hole", "tube along x", "flat tube up", "plate"],
)
def test_shapes_are_closed_and_face_outwards(shape: tuple[np.ndarray, np.ndarray, np.ndarray], expected: float) -> None:
    vertices, faces, _ = shape
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight
    assert volume(shape) == pytest.approx(expected, rel=0.01)


def test_sharp_edges_have_vertices_of_their_own() -> None:
    profile = [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert len(lathe(profile, 8)[0]) == 6 * 9 - 2  # of the pole's vertices all but one carry a triangle each


@pytest.mark.parametrize("kind", ["box", "sphere", "capsule", "cylinder", "ellipsoid", "mesh"])
def test_bounds_centre_and_volume_of_parts(kind: str) -> None:
    rng = np.random.default_rng(7)
    size = {"box": (0.1, 0.2, 0.3), "sphere": (0.2,), "ellipsoid": (0.1, 0.2, 0.3), "mesh": ()}.get(kind, (0.1, 0.3))
    points = rng.normal(size=(40, 3)) if kind == "mesh" else None
    part = Part(kind, size, (0.3, -0.2, 0.5), wxyz(facing((1.0, 2.0, 3.0))), points)
    low, high = part_bounds(part)
    cloud = rng.uniform(low - 0.02, high + 0.02, (200_000, 3))
    if points is None:
        inside = outside(part, cloud) == 0
    else:
        local = turn_of(part).inv().apply(cloud - np.array(part.position))
        planes = ConvexHull(points).equations
        inside = (local @ planes[:, :3].T + planes[:, 3] <= 0).all(axis=1)
    assert part_volume(part) == pytest.approx(inside.mean() * np.prod(high - low + 0.04), rel=0.03)
    np.testing.assert_allclose(cloud[inside].mean(axis=0), part_centre(part), atol=0.02)
    assert (cloud[inside] >= low - 1e-9).all()
    assert (cloud[inside] <= high + 1e-9).all()
    slack = 0.25 if kind == "mesh" else 0.05
    np.testing.assert_allclose(cloud[inside].min(axis=0), low, atol=slack)


def test_a_rod_reaches_from_start_to_end() -> None:
    part = rod((0.1, 0.2, 0.3), (0.4, 0.2, 0.3), 0.05, "cylinder")
    np.testing.assert_allclose(part_bounds(part), [(0.1, 0.15, 0.25), (0.4, 0.25, 0.35)], atol=1e-9)
