"""Object sets as they are written on the command line, the options of prisms, and what no gripper can pick up."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import trimesh

from graspgap.errors import UserError
from graspgap.objects import make_object_set
from graspgap.objects.graspable import check_graspable, thinnest
from graspgap.objects.meshes import MeshFolder
from graspgap.objects.model import ObjectModel, Part
from graspgap.objects.options import split_choice
from graspgap.objects.parts import bounds, centre_of_mass, part_bounds
from graspgap.objects.prisms import PrismConfig, Prisms
from test_objects import check_surface, outside, same

TRAIN = [1, 2, 3, 7, 11, 12, 23, 99, 4711, 999_999]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prisms", ("prisms", "", {})),
        ("prisms:parts=2-6,smooth=0.5", ("prisms", "", {"parts": "2-6", "smooth": "0.5"})),
        ("shapenet:/a/b", ("shapenet", "/a/b", {})),
        ("shapenet:/a,b=c/d,category=mug+bowl", ("shapenet", "/a,b=c/d", {"category": "mug+bowl"})),
        ("meshes:C:\\scans,density=200", ("meshes", "C:\\scans", {"density": "200"})),
    ],
)
def test_a_choice_is_name_folder_and_options(text: str, expected: tuple[object, ...]) -> None:
    assert split_choice(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prisms:part=3", "option of object set 'prisms' 'part' is unknown: did you mean 'parts'"),
        ("prisms:parts=0-2", "parts of object set 'prisms' is '0-2', expected a number of parts"),
        ("prisms:parts=4-2", "expected a number of parts"),
        ("prisms:parts=2-900", "up to 30"),
        ("prisms:smooth=2", "expected a share"),
        ("prisms:length=0.09-0.03", "expected a range"),
        ("prisms:width=nan", "expected a positive number"),
        ("prisms:smooth=0.1,smooth=0.2", "gives 'smooth' twice"),
        ("prisms:smooth", "gives 'smooth', expected prisms:key=value"),
        ("everyday:parts=2", "has no options"),
        ("shapnet:/data", "did you mean 'shapenet'"),
        ("meshes", "needs a folder"),
        ("shapenet:", "needs a folder"),
        ("meshes:/tmp,parts=boxes", "expected hull or coacd"),
        ("published:exact=maybe", "expected yes or no"),
    ],
)
def test_a_wrong_choice_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make_object_set(text)
    assert "\n" not in str(error.value)


def test_folders_are_meshes_with_or_without_the_name(tmp_path: Path) -> None:
    for number in range(4):
        trimesh.creation.box(extents=(0.05, 0.06, 0.07)).export(tmp_path / f"box_{number}.stl")
    plain, named = make_object_set(str(tmp_path)), make_object_set(f"meshes:{tmp_path},test_fraction=0.25,density=200")
    assert isinstance(plain, MeshFolder)
    assert isinstance(named, MeshFolder)
    assert (len(named.names("train")), len(named.names("test"))) == (3, 1)
    assert named.make("box_0").mass == pytest.approx(plain.make("box_0").mass / 2)


def test_an_error_stays_one_printable_line() -> None:
    assert str(UserError("a\nb\x1b[31m\udcff")) == "a b?[31m?"


# -- prisms ----------------------------------------------------------------------------------------------------------


def test_smooth_prisms_stay_inside_the_boxes_and_hang_together() -> None:
    prisms = Prisms(PrismConfig(parts=(2, 6), smooth=0.7))
    kinds = set()
    for number in range(1, 60):
        prism = prisms.make(number)
        kinds |= {part.kind for part in prism.parts}
        np.testing.assert_allclose(centre_of_mass(prism.parts), 0, atol=1e-9)
        centres = np.array([part.position for part in prism.parts])
        for index in range(1, len(centres)):
            assert min(outside(part, centres[index : index + 1])[0] for part in prism.parts[:index]) == 0
        assert np.ptp([part_bounds(part) for part in prism.parts]) < 0.13
    assert kinds == {"box", "cylinder", "capsule", "ellipsoid"}


def test_textured_prisms_collide_where_they_are_seen() -> None:
    prisms, plain = Prisms(PrismConfig(smooth=0.5, textured=0.5)), Prisms(PrismConfig(smooth=0.5))
    counts = [len(prisms.make(number).surfaces) for number in range(1, 60)]
    assert 15 < sum(count > 0 for count in counts) < 45
    for number in range(1, 30):
        thing = prisms.make(number)
        assert same(replace(thing, surfaces=(), color=(0, 0, 0)), replace(plain.make(number), color=(0, 0, 0)))
        for surface, part in zip(thing.surfaces, thing.parts, strict=bool(thing.surfaces)):
            check_surface(surface)
            seen = np.stack([surface.vertices.min(axis=0), surface.vertices.max(axis=0)])
            np.testing.assert_allclose(seen, part_bounds(part), atol=0.0025)


def test_options_leave_the_objects_of_the_default_as_they_are() -> None:
    """The demo's data hangs on them."""
    things = [Prisms().make(number) for number in TRAIN]
    assert sum(len(thing.parts) for thing in things) == 21
    assert sum(thing.mass for thing in things) == pytest.approx(0.3143227325370921, rel=1e-12)
    corners = np.concatenate([bounds(thing.parts) for thing in things])
    assert np.abs(corners).sum() == pytest.approx(1.4332720257353375, rel=1e-12)


# -- what can't be grasped -------------------------------------------------------------------------------------------


def box(*half: float, mass: float = 0.1) -> ObjectModel:
    return ObjectModel("thing", (Part("box", half),), mass)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (box(0.3, 0.02, 0.02), "measures 0.6 x 0.04 x 0.04 m, expected at most 0.4 m"),
        (box(0.05, 0.05, 0.05), "a place within 0.08 m, which the gripper spans: is it in millimetres"),
        (ObjectModel("ball", (Part("sphere", (0.045,)),), 0.1), "a place within"),
        (box(0.004, 0.004, 0.004), "expected at least 0.02 m"),
        (box(0.02, 0.02, 1e-9), "no volume"),
        (box(0.02, 0.02, 0.02, mass=2.0), "weighs 2 kg, expected at most 1.5 kg"),
        (box(0.02, 0.02, 0.02, mass=float("nan")), "weighs nan kg"),
        (box(0.02, 0.02, float("nan")), "not finite"),
    ],
)
def test_what_no_gripper_can_pick_up_is_refused(thing: ObjectModel, message: str) -> None:
    with pytest.raises(UserError, match=f"^here .*{message}"):
        check_graspable(thing, "here")


def test_a_thin_place_is_enough() -> None:
    """A cross of 12 cm whose arms are 3 cm thick can be grasped by an arm; a block of three slabs can't."""
    arms = tuple(Part("box", tuple(np.roll((0.06, 0.015, 0.015), axis).tolist())) for axis in range(3))
    assert check_graspable(ObjectModel("cross", arms, 0.1), "here").parts == arms
    assert thinnest(arms) == pytest.approx(0.03, abs=1e-6)
    slabs = tuple(Part("box", (0.05, 0.05, 0.02), (0.0, 0.0, z)) for z in (-0.035, 0.0, 0.035))
    assert thinnest(slabs) == pytest.approx(0.1, abs=1e-6)


def test_options_that_give_nothing_to_grasp_are_refused() -> None:
    with pytest.raises(UserError, match=r"measures .* expected at most 0\.4 m"):
        make_object_set("prisms:parts=1,length=0.5-0.6,extent=0.3-0.7").sample(np.random.default_rng(0), 1, "train")


# -- the published objects -------------------------------------------------------------------------------------------

published = pytest.mark.skipif(find_spec("pybullet_data") is None, reason="pybullet_data is not installed")


@published
def test_published_splits_and_origin() -> None:
    chosen = make_object_set("published")
    train, test = chosen.names("train"), chosen.names("test")
    assert (len(train), len(test)) == (895, 100)
    assert all(name.endswith("0") for name in test)
    assert not any(name.endswith("0") for name in train)
    for thing in chosen.sample(np.random.default_rng(1), 6, "train"):
        np.testing.assert_allclose(centre_of_mass(thing.parts), 0, atol=1e-9)
        assert thing.mass == 0.1
        assert 0.06 < np.ptp(bounds(thing.parts), axis=0).max() < 0.22


@published
def test_fewer_parts_fill_the_same_space() -> None:
    chosen, exact = make_object_set("published"), make_object_set("published:exact=yes")
    rng = np.random.default_rng(2)
    counts = np.zeros(2, dtype=int)
    for name in chosen.names("test")[::12]:
        near, true = chosen.make(name), exact.make(name)
        counts += len(near.parts), len(true.parts)
        assert {part.kind for part in true.parts} == {"mesh"}
        low, high = bounds(true.parts)
        cloud = rng.uniform(low - 0.005, high + 0.005, (20_000, 3))
        shift = bounds(near.parts).mean(axis=0) - (low + high) / 2  # the centres of mass differ by millimetres
        inside = [filled(near, cloud + shift), filled(true, cloud)]
        assert (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum() > 0.8
        np.testing.assert_allclose(np.ptp(bounds(near.parts), axis=0), high - low, atol=0.009)
    assert counts[0] < 0.9 * counts[1]


def filled(thing: ObjectModel, points: np.ndarray) -> np.ndarray:
    """Which points lie in one of the parts."""
    found = np.zeros(len(points), dtype=bool)
    for part in thing.parts:
        if part.kind == "box":
            found |= outside(part, points) == 0
        else:
            planes = trimesh.convex.convex_hull(part.vertices)
            offset = np.einsum("ij,ij->i", planes.face_normals, planes.triangles[:, 0])
            found |= (points @ planes.face_normals.T <= offset + 1e-9).all(axis=1)
    return found


def test_published_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graspgap.objects.published.find_spec", lambda name: None)
    with pytest.raises(UserError, match="comes with the extra `bullet`"):
        make_object_set("published")


def test_damaged_published_objects_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no object"):
        make_object_set(f"published:{tmp_path}")
    (tmp_path / "001").mkdir()
    (tmp_path / "001" / "001.urdf").write_text("<robot><link>")
    chosen = make_object_set(f"published:{tmp_path}")
    with pytest.raises(UserError, match=r"001\.obj is missing"):
        chosen.make("published-001")
    (tmp_path / "001" / "001.obj").write_text("o a\nv 0 0 0\nf 1 1 1\n")
    with pytest.raises(UserError, match=r"001\.urdf lacks"):
        make_object_set(f"published:{tmp_path}").make("published-001")
