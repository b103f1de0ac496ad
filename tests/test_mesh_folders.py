"""Folders of meshes: what is read, what is refused, and how it rests in the cell."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.spatial.transform import Rotation

from graspgap.contract import SemanticClass, Workspace
from graspgap.errors import UserError
from graspgap.objects import make_object_set
from graspgap.objects.meshes import MeshFolder, MeshFolderConfig
from graspgap.objects.parts import bounds, centre_of_mass, part_centre
from graspgap.worlds.catalog import WORLDS, WorldChoice
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig
from test_objects import check_surface

DATA = Path(os.environ.get("GRASPGAP_DATA", Path(__file__).parents[2] / "shared/data"))


def brick(size: float = 0.05) -> trimesh.Trimesh:
    return trimesh.creation.box(extents=(size, size, 2 * size))


def test_loose_mesh_files(tmp_path: Path) -> None:
    for suffix in ("stl", "ply", "obj", "glb"):
        brick().export(tmp_path / f"brick_{suffix}.{suffix}")
    (tmp_path / "notes.txt").write_text("not a mesh")
    folder = make_object_set(str(tmp_path))
    assert isinstance(folder, MeshFolder)
    assert folder.names("train") == folder.names("test") == ["brick_glb", "brick_obj", "brick_ply", "brick_stl"]
    for thing in folder.sample(np.random.default_rng(0), 4, "train"):
        assert len(thing.parts) == 1
        assert thing.mass == pytest.approx(0.05**2 * 0.1 * 400)
        np.testing.assert_allclose(bounds(thing.parts), [(-0.025, -0.025, -0.05), (0.025, 0.025, 0.05)], atol=1e-6)
        check_surface(thing.surfaces[0])


@pytest.mark.parametrize("mark", ["o", "g", "o hull\ng"])
def test_collision_groups_become_parts_and_move_the_origin(tmp_path: Path, mark: str) -> None:
    folder = tmp_path / "set" / "hook"
    folder.mkdir(parents=True)
    shell = brick()
    shell.update_faces(np.arange(len(shell.faces)) > 0)  # an open mesh is fine beside a collision.obj
    shell.export(folder / "textured.obj")
    lines, start = [], 1
    for number, by in enumerate([(0, 0, 0), (0, 0, 0.06)]):
        part = trimesh.creation.box(extents=(0.02, 0.02, 0.02)).apply_translation(by)
        lines += [f"{mark} part_{number}", *(f"v {x} {y} {z}" for x, y, z in part.vertices)]
        lines += ["f " + " ".join(f"{corner + start}//1" for corner in face) for face in part.faces]
        start += len(part.vertices)
    (folder / "collision.obj").write_text("\n".join(lines))
    thing = MeshFolder(tmp_path / "set").make("hook")
    assert [part.kind for part in thing.parts] == ["mesh", "mesh"]
    np.testing.assert_allclose(part_centre(thing.parts[0]), (0, 0, -0.03), atol=1e-6)
    np.testing.assert_allclose(thing.surfaces[0].vertices[:, 2].min(), -0.05 - 0.03, atol=1e-6)


def paired(folder: Path, collision: trimesh.Trimesh) -> None:
    """An object with a folder of its own: a brick that collides as another mesh."""
    folder.mkdir(exist_ok=True)
    brick().export(folder / "textured.obj")
    collision.export(folder / "collision.obj")


def test_the_folder_of_one_object_is_a_set_of_that_object(tmp_path: Path) -> None:
    paired(tmp_path, brick(0.048))
    folder = MeshFolder(tmp_path)
    assert folder.names("test") == ["textured"]
    np.testing.assert_allclose(np.ptp(bounds(folder.make("textured").parts), axis=0), (0.048, 0.048, 0.096), atol=1e-6)


def test_a_mesh_object_rests_in_the_cell_as_it_is_seen(tmp_path: Path) -> None:
    # An L, far from its file's origin: a wrong origin or frame would show as a gap above the floor or below it.
    foot = trimesh.creation.box(extents=(0.08, 0.03, 0.03)).apply_translation((0.3, 0.2, 0.1))
    leg = trimesh.creation.box(extents=(0.03, 0.03, 0.05)).apply_translation((0.325, 0.2, 0.14))
    both = trimesh.util.concatenate([foot, leg])
    (tmp_path / "angle").mkdir()
    both.export(tmp_path / "angle" / "textured.obj")
    lines, start = [], 1
    for mesh in (foot, leg):
        lines += ["o part", *(f"v {x} {y} {z}" for x, y, z in mesh.vertices)]
        lines += ["f " + " ".join(str(corner + start) for corner in face) for face in mesh.faces]
        start += len(mesh.vertices)
    (tmp_path / "angle" / "collision.obj").write_text("\n".join(lines))
    thing = MeshFolder(tmp_path).make("angle")
    cell = Cell(CellConfig(), Workspace())
    cell.load([thing])
    np.testing.assert_allclose(cell.model.body_ipos[cell.object_bodies[0]], 0, atol=1e-5)
    for seed in range(3):
        cell.settle(np.random.default_rng(seed), 2.0)
        assert len(cell.object_positions()) == 1
        place, (w, x, y, z) = cell.body_poses()["object_0"]
        seen = Rotation.from_quat((x, y, z, w)).apply(thing.surfaces[0].vertices) + place
        assert abs(seen[:, 2].min()) < 0.002
        assert np.abs(cell.data.qvel[cell.model.body_dofadr[cell.object_bodies[0]] :][:3]).max() < 0.02


def test_seeded_test_fraction(tmp_path: Path) -> None:
    for number in range(8):
        brick().export(tmp_path / f"brick_{number}.stl")
    config = MeshFolderConfig(test_fraction=0.25)
    folder = MeshFolder(tmp_path, config)
    train, test = folder.names("train"), folder.names("test")
    assert (len(train), len(test)) == (6, 2)
    assert not set(train) & set(test)
    assert MeshFolder(tmp_path, config).names("test") == test
    brick().export(tmp_path / "late.stl")
    assert set(MeshFolder(tmp_path, config).names("test")) <= {*test, "late"}
    with pytest.raises(UserError, match="leaves a split empty"):
        MeshFolder(tmp_path, MeshFolderConfig(test_fraction=0.01))


def test_a_round_mesh_is_thinned_and_stays_closed(tmp_path: Path) -> None:
    outer, inner = (trimesh.creation.icosphere(subdivisions=5, radius=radius) for radius in (0.03, 0.029))
    inner.invert()
    trimesh.util.concatenate([outer, inner]).export(tmp_path / "shell.stl")
    surface = MeshFolder(tmp_path).make("shell").surfaces[0]
    assert 300 < len(surface.faces) <= 1500
    edges = Counter(
        tuple(edge) for face in surface.faces.tolist() for edge in zip(face, face[1:] + face[:1], strict=True)
    )
    assert all(edges[b, a] == count for (a, b), count in edges.items())
    radii = np.linalg.norm(surface.vertices, axis=1)
    assert np.abs(radii - 0.0295).max() < 0.0015
    assert (radii > 0.0298).sum() > 100  # both walls are kept
    assert (radii < 0.0289).sum() > 100


def open_box(path: Path) -> None:
    mesh = brick()
    mesh.update_faces(np.arange(len(mesh.faces)) > 1)
    mesh.export(path / "open.stl")


def test_an_open_mesh_collides_as_its_hull_where_that_is_asked_for(tmp_path: Path) -> None:
    open_box(tmp_path)
    chosen = make_object_set(f"meshes:{tmp_path},holes=hull")
    assert isinstance(chosen, MeshFolder)
    thing = chosen.make("open")
    np.testing.assert_allclose(bounds(thing.parts), [(-0.025, -0.025, -0.05), (0.025, 0.025, 0.05)], atol=1e-6)


def textured_brick(mesh: Path, picture: str, place: Path, closed: bool = True) -> None:
    """A brick whose material asks for `picture`, which lies at `place`, all red."""
    thing = brick()
    if not closed:
        thing.update_faces(np.arange(len(thing.faces)) > 1)
    uv = np.column_stack([np.linspace(0, 1, len(thing.vertices))] * 2)
    mesh.parent.mkdir(parents=True, exist_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    lines = ["mtllib look.mtl", *(f"v {x} {y} {z}" for x, y, z in thing.vertices), *(f"vt {u} {v}" for u, v in uv)]
    lines += ["usemtl look", *("f " + " ".join(f"{corner}/{corner}" for corner in face) for face in thing.faces + 1)]
    mesh.write_text("\n".join(lines))
    (mesh.parent / "look.mtl").write_text(f"newmtl look\nmap_Kd {picture}\n")
    Image.new("RGB", (300, 200), (250, 10, 10)).save(place)


def test_layouts_of_mesh_collections(tmp_path: Path) -> None:
    google = tmp_path / "Mug_White"
    textured_brick(google / "meshes/model.obj", "texture.png", google / "materials/textures/texture.png", False)
    (google / "model.sdf").write_text("<sdf/>")
    ycb = tmp_path / "003_cracker_box"
    for scan in ("google_16k", "tsdf"):
        textured_brick(ycb / scan / "textured.obj", "texture_map.png", ycb / scan / "texture_map.png", False)
        brick().export(ycb / scan / "nontextured.ply")
    tsdf = tmp_path / "004_sugar_box" / "tsdf"
    textured_brick(tsdf / "textured.obj", "textured.png", tsdf / "textured.png")
    poisson = tmp_path / "005_tomato_soup_can" / "poisson"
    textured_brick(poisson / "textured.obj", "textured.png", poisson / "textured.png")
    shop = tmp_path / "soap"
    textured_brick(shop / "textured.obj", "texture.jpg", shop / "texture.jpg")
    brick(0.048).export(shop / "collision.obj")
    brick().export(tmp_path / "loose.glb")
    folder = MeshFolder(tmp_path)
    textured = ["003_cracker_box", "004_sugar_box", "005_tomato_soup_can", "Mug_White", "soap"]
    assert folder.names("train") == sorted([*textured, "loose"])
    for name in textured:
        (surface,) = folder.make(name).surfaces
        assert surface.texture is not None
        assert surface.texture.shape == (85, 128, 3)
        np.testing.assert_array_equal(surface.texture[0, 0] > 200, (True, False, False))
    assert folder.source("003_cracker_box") == ycb / "google_16k/textured.obj"
    assert np.ptp(bounds(folder.make("soap").parts), axis=0)[2] == pytest.approx(0.096)
    alone = MeshFolder(ycb)
    assert alone.names("test") == ["003_cracker_box"]
    assert alone.make("003_cracker_box").surfaces[0].texture is not None


@pytest.mark.parametrize("where", [str(DATA / "objects/everyday"), "everyday", "published"])
@pytest.mark.parametrize("name", ["sim", "bullet"])
def test_masks_show_the_objects_of_a_set(where: str, name: str) -> None:
    """Where the picture changes when the objects are away is where the mask says object."""
    if name == "bullet" or where == "published":
        pytest.importorskip("pybullet_data")
    if "/" in where and not Path(where).is_dir():
        pytest.skip("no scanned objects on this machine (GRASPGAP_DATA)")
    made = WORLDS[name](WorldChoice(name, where))
    seen = made.reset(3)
    assert len(made.record()["objects"]) >= 5
    found = seen.mask_before == SemanticClass.OBJECT
    assert 0.02 < found.mean() < 0.7
    colors = np.array([thing.color for thing in made.cell.objects])
    hue = seen.image_before[found] / 255.0
    like = [np.linalg.norm(np.cross(hue, color / np.linalg.norm(color)), axis=1) for color in colors]
    assert np.mean(np.min(like, axis=0) < 0.12) > 0.85  # each pixel is a shade of one object's colour
    made.close()


def test_meshes_come_to_rest() -> None:
    """They used to shake and turn for ever, which kept physics from sleeping."""
    pytest.importorskip("pybullet_data")
    things = make_object_set("published:exact=yes").sample(np.random.default_rng(0), 21, "test")
    moving = 0
    for start in range(0, 21, 7):
        cell = Cell(CellConfig(), Workspace())
        cell.load(things[start : start + 7])
        cell.settle(np.random.default_rng(start))
        cell._step(1.0)
        moving += int((np.abs(cell.data.qvel[cell.object_dofs]).max(axis=1) > 0).sum())
    assert moving <= 4


def flat_sheet(path: Path) -> None:
    corners = [(0, 0, 0), (0.05, 0, 0), (0.05, 0.05, 0), (0, 0.05, 0)]
    trimesh.Trimesh(corners, [(0, 1, 2), (0, 2, 3), (2, 1, 0), (3, 2, 0)], process=False).export(path / "flat.ply")


def dots_only(path: Path) -> None:
    trimesh.PointCloud(np.eye(3) * 0.05).export(path / "dots.ply")


def bad_collision(path: Path) -> None:
    (path / "thing").mkdir()
    brick().export(path / "thing" / "textured.obj")
    (path / "thing" / "collision.obj").write_text("o part\nv 0 0 zero\n")


def flat_collision(path: Path) -> None:
    bad_collision(path)
    (path / "thing" / "collision.obj").write_text("o part\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (open_box, r"open\.stl is not watertight.*close its holes.*holes=hull"),
        (flat_sheet, r"flat\.ply has a part without volume"),
        (dots_only, r"dots\.ply has no faces"),
        (lambda path: brick(50).export(path / "large.stl"), r"large\.stl measures .*millimetres\? scale it to metres"),
        (lambda path: brick(0.09).export(path / "wide.stl"), r"wide\.stl measures"),
        (lambda path: (path / "torn.glb").write_bytes(b"glTF"), r"torn\.glb can't be read"),
        (bad_collision, r"collision\.obj is not a valid OBJ"),
        (flat_collision, r"collision\.obj has a part without volume"),
        (lambda path: paired(path / "thing", brick(50)), r"collision\.obj is 100 m long.*same units and frame"),
        (
            lambda path: paired(path / "thing", brick().apply_translation((1, 0, 0))),
            r"collision\.obj is 0\.1 m long about \[1\.0, .*same units and frame",
        ),
        (
            lambda path: ((path / "odd").mkdir(), brick().export(path / "odd" / "mesh.stl")),
            r"odd has meshes but no textured\.obj",
        ),
        (lambda path: None, "holds no object: expected sub-folders"),
    ],
    ids=[
        "open",
        "flat",
        "points",
        "millimetres",
        "too wide",
        "torn",
        "bad collision",
        "flat collision",
        "collision in millimetres",
        "collision elsewhere",
        "no visual",
        "empty",
    ],
)
def test_bad_meshes_are_refused_in_one_line(tmp_path: Path, write: object, message: str) -> None:
    write(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        MeshFolder(tmp_path).check()
    assert "\n" not in str(error.value)


def test_missing_folder_and_double_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        make_object_set(str(tmp_path / "nowhere"))
    brick().export(tmp_path / "one.stl")
    with pytest.raises(UserError, match="is a file"):
        MeshFolder(tmp_path / "one.stl")
    brick().export(tmp_path / "one.ply")
    with pytest.raises(UserError, match="two objects named 'one'"):
        MeshFolder(tmp_path)


@pytest.mark.skipif(
    not (DATA / "objects/everyday").is_dir(), reason="no scanned objects on this machine (GRASPGAP_DATA)"
)
def test_scanned_objects_load() -> None:
    folder = MeshFolder(DATA / "objects/everyday")
    folder.check()
    things = folder.sample(np.random.default_rng(0), 24, "train")
    for thing in things:
        (surface,) = thing.surfaces
        assert surface.texture is not None
        assert len(surface.faces) <= 1500
        seen = np.stack([surface.vertices.min(axis=0), surface.vertices.max(axis=0)])
        np.testing.assert_allclose(seen, bounds(thing.parts), atol=0.008)
        np.testing.assert_allclose(centre_of_mass(thing.parts), 0, atol=1e-9)
