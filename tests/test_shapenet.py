"""A small tree in ShapeNet's layout: categories, splits, sizes, convex parts and their cache, broken models."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import trimesh

from graspgap.errors import UserError
from graspgap.objects import convex, make_object_set
from graspgap.objects.convex import CoacdConfig, convex_parts
from graspgap.objects.meshes import MeshFolder, MeshFolderConfig
from graspgap.objects.parts import bounds, centre_of_mass
from graspgap.objects.shapenet import ShapeNet, ShapeNetConfig, find_synsets, is_test

MUG, BOTTLE, JAR = "03797390", "02876657", "03593526"
needs_coacd = pytest.mark.skipif(find_spec("coacd") is None, reason="CoACD is not installed (extra `meshes`)")


def elbow() -> trimesh.Trimesh:
    """An L, one closed mesh: 2 long, 3 high, 1 deep; y is up."""
    outline = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 3), (0, 3)]
    vertices = [(x, y, z) for z in (0, 1) for x, y in outline]
    caps = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5)]
    faces = [face[::-1] for face in caps] + [tuple(6 + corner for corner in face) for face in caps]
    for a in range(6):
        b = (a + 1) % 6
        faces += [(a, b, 6 + b), (a, 6 + b, 6 + a)]
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4)
    return mesh


def add(folder: Path, synset: str, model: str, mesh: trimesh.Trimesh | bytes) -> None:
    place = folder / synset / model / "models"
    place.mkdir(parents=True)
    if isinstance(mesh, bytes):
        (place / "model_normalized.obj").write_bytes(mesh)
    else:
        size = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
        (place / "model_normalized.obj").write_text(mesh.apply_scale(1 / size).export(file_type="obj"))
    (place / "model_normalized.json").write_text(json.dumps({"numVertices": 8, "min": [0] * 3, "max": [1] * 3}))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve mugs, a bottle, an L-shaped jar, and three broken models."""
    monkeypatch.setenv("GRASPGAP_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "ShapeNetCore.v2"
    for number in range(12):
        add(folder, MUG, f"{number:032x}", trimesh.creation.box(extents=(1, 0.5 + 0.1 * number, 0.4)))
    add(folder, BOTTLE, "b" * 32, trimesh.creation.cylinder(0.2, 1.0))
    add(folder, JAR, "c" * 32, elbow())
    add(folder, JAR, "d" * 32, b"v 0 0 nonsense\nf 1 2 3\n")
    add(folder, JAR, "e" * 32, b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 3\nf 2 4 3\n")
    add(folder, JAR, "f" * 32, b"")
    records = [
        {"synsetId": "vessel", "name": "vessel", "children": [BOTTLE, JAR], "numInstances": 5},
        {"synsetId": BOTTLE, "name": "bottle", "children": [], "numInstances": 1},
        {"synsetId": JAR, "name": "jar,preserving jar", "children": ["vessel"], "numInstances": 4},
        {"synsetId": MUG, "name": "mug", "children": [], "numInstances": 12},
    ]
    (folder / "taxonomy.json").write_text(json.dumps(records))
    return folder


def test_categories_by_name_id_and_parent(tree: Path) -> None:
    assert find_synsets(tree, ("mug",)) == {MUG}
    assert find_synsets(tree, ("preserving jar", MUG)) >= {JAR, MUG}
    assert find_synsets(tree, ("vessel",)) == {"vessel", BOTTLE, JAR}  # its children name it as theirs: no endless loop
    with pytest.raises(UserError, match="ShapeNet category 'botle' is unknown: did you mean 'bottle'"):
        find_synsets(tree, ("botle",))
    (tree / "taxonomy.json").write_text('[{"synsetId": 3}]')
    with pytest.raises(UserError, match=r"taxonomy\.json is no list of records"):
        find_synsets(tree, ("mug",))


def test_without_coacd_the_extra_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convex, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"graspgap\[meshes\]"):
        make_object_set(f"shapenet:{tree}")


@needs_coacd
def test_names_splits_and_counts(tree: Path) -> None:
    chosen = ShapeNet(tree)
    train, test = set(chosen.names("train")), set(chosen.names("test"))
    assert len(train | test) == 17
    assert not train & test
    assert test == {name for name in train | test if is_test(name.split("-")[1])}
    shares = [is_test(f"{number:032x}") for number in range(3000)]
    assert np.mean(shares) == pytest.approx(0.1, abs=0.02)
    few = ShapeNet(tree, ShapeNetConfig(category=("mug",), count=5))
    names = few.names("train") + few.names("test")
    assert len(names) == 5
    assert all(name.startswith(MUG) for name in names)
    with pytest.raises(UserError, match="holds no model"):
        ShapeNet(tree / MUG)


@needs_coacd
def test_models_are_upright_small_and_skipped_if_broken(tree: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    chosen = make_object_set(f"shapenet:{tree},category=vessel")
    assert isinstance(chosen, ShapeNet)
    chosen.check()
    assert sorted(name.split("-")[1][0] for name in chosen.refused) == ["d", "e", "f"]
    assert all("\n" not in reason for reason in chosen.refused.values())
    jar = chosen.make(f"{JAR}-{'c' * 32}")
    assert len(jar.parts) == 2
    extents = np.ptp(bounds(jar.parts), axis=0)
    np.testing.assert_allclose(extents / extents.max(), (2 / 3, 1 / 3, 1), atol=0.03)  # 3 high: y has become z
    assert 0.06 <= extents.max() <= 0.13
    assert 0.015 <= jar.mass <= 0.5
    np.testing.assert_allclose(centre_of_mass(jar.parts), 0, atol=1e-9)
    seen = jar.surfaces[0].vertices
    np.testing.assert_allclose(np.stack([seen.min(axis=0), seen.max(axis=0)]), bounds(jar.parts), atol=0.003)
    again = make_object_set(f"shapenet:{tree},category=jar").make(jar.name)
    assert again.mass == jar.mass
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == before
    assert len(list((tmp_path / "cache" / "parts").glob("*.json"))) == 2


@needs_coacd
def test_a_sample_skips_what_is_broken(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen = ShapeNet(tree, ShapeNetConfig(category=("jar", "bottle")))
    usable = [name for name in chosen.names("train") if name.split("-")[1][0] in "bc"]
    for _ in range(2):
        things = chosen.sample(np.random.default_rng(0), len(usable), "train")
        assert sorted(thing.name for thing in things) == sorted(usable)
    assert 0 < len(caplog.records) == len(chosen.refused) <= 3
    with pytest.raises(UserError, match=f"of which only {len(usable)} can be used"):
        chosen.sample(np.random.default_rng(0), len(chosen.names("train")), "train")


@pytest.fixture
def mesh_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRASPGAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(convex, "check_installed", lambda: None)
    elbow().apply_scale(0.03).export(tmp_path / "elbow.stl")
    return tmp_path / "elbow.stl"


def scripted(monkeypatch: pytest.MonkeyPatch, script: str) -> Callable[[], int]:
    """CoACD's process replaced by a script; returns how often it ran."""
    runs: list[object] = []
    real = convex.subprocess.run

    def run(command: list[str], **options: object) -> object:
        runs.append(command)
        return real([sys.executable, "-c", script, *command[3:]], **options)

    monkeypatch.setattr(convex.subprocess, "run", run)
    return lambda: len(runs)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import time; time.sleep(60)", "takes longer than 0.5 s"),
        ("import os; os.abort()", r"failed \(exit code -6\)"),
        ("pass", "failed"),
        ("import sys; open(sys.argv[2], 'w').write('[[1, 2]]')", "failed"),
    ],
    ids=["hang", "crash", "nothing", "nonsense"],
)
def test_a_failure_of_coacd_is_kept(
    mesh_file: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    runs = scripted(monkeypatch, script)
    for _ in range(2):
        with pytest.raises(UserError, match=message):
            convex_parts(mesh_file, trimesh.load(mesh_file), CoacdConfig(seconds=0.5))
    assert runs() == 1


def test_parts_are_kept_by_content_and_settings(mesh_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corners = np.eye(4, 3).tolist()
    script = f"import sys; open(sys.argv[2], 'w').write('{json.dumps([corners])}')"
    runs = scripted(monkeypatch, script)
    mesh, config = trimesh.load(mesh_file), CoacdConfig()
    for _ in range(2):
        np.testing.assert_array_equal(convex_parts(mesh_file, mesh, config), [corners])
    assert runs() == 1
    convex_parts(mesh_file, mesh, CoacdConfig(threshold=0.2))
    assert runs() == 2
    mesh_file.write_bytes(b"other" + mesh_file.read_bytes()[5:])
    convex_parts(mesh_file, mesh, config)
    assert runs() == 3
    for kept in (mesh_file.parent / "cache" / "parts").iterdir():
        kept.write_text("[[0, 1")  # damaged: decomposed again
    np.testing.assert_array_equal(convex_parts(mesh_file, mesh, config), [corners])
    assert runs() == 4


@needs_coacd
def test_folders_of_meshes_take_convex_parts_too(mesh_file: Path) -> None:
    folder = MeshFolder(mesh_file.parent, MeshFolderConfig(parts="coacd"))
    assert len(folder.make("elbow").parts) == 2
    assert len(MeshFolder(mesh_file.parent).make("elbow").parts) == 1
