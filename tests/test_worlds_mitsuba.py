"""The path tracer with a hand-made cell: things appear where the camera's geometry says, and pictures repeat."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from graspgap.contract import Camera
from graspgap.objects.model import ObjectModel, Part, Surface
from graspgap.objects.textures import linear
from graspgap.worlds.mitsuba_renderer import (
    MitsubaRenderer,
    RenderConfig,
    Scenery,
    merged,
    without_slivers,
    without_speckles,
)
from graspgap.worlds.sensor import SensorConfig
from graspgap.worlds.standin_shapes import ball, barrel, box, part_surface, rim, soft_box

PLAIN = SensorConfig(barrel=0, vignette=0, defocus=0, electrons=1e9, read_noise=0, jpeg_quality=100)
CAMERA = Camera(position=(0.13, 0.47, 0.68), fov=31, roll=6.0)
UPRIGHT = np.array([1.0, 0, 0, 0])


@dataclass
class FakeCell:
    objects: list[ObjectModel]
    positions: list[tuple[float, float, float]] = field(default_factory=list)

    def body_poses(self):
        return {f"object_{i}": (np.array(p), UPRIGHT) for i, p in enumerate(self.positions)}


def dark_room(cell):
    floor = box((0.55, 0, -0.01), (2, 2, 0.01), color=(0.05, 0.05, 0.05), roughness=1.0)
    return Scenery(still=(floor,), bodies={}, surroundings=np.full((4, 8, 3), 0.1, np.float32))


def thing(*surfaces, name="thing", parts=()):
    return ObjectModel(name, parts, 0.1, surfaces, color=(0.9, 0.9, 0.9))


def picture(cell, looks=None, samples=4):
    renderer = MitsubaRenderer(RenderConfig(camera=CAMERA, sensor=PLAIN, samples=samples), dark_room)
    renderer.prepare(cell, looks or {})
    return renderer.render(cell)[0]


@pytest.mark.parametrize("place", [(0.45, -0.08, 0.02), (0.62, 0.1, 0.05), (0.55, 0.0, 0.2)])
def test_things_appear_where_the_camera_projects_them(place):
    cell = FakeCell([thing(ball((0, 0, 0), 0.02, color=(0.9, 0.9, 0.9), roughness=1.0))], [place])
    image = picture(cell).astype(float).sum(axis=2)
    row, column = np.argwhere(image > image.max() * 0.8).mean(axis=0)
    u, v = CAMERA.project(np.array(place))
    assert ((column + 0.5) / 32 - 1, (row + 0.5) / 32 - 1) == pytest.approx((u, v), abs=0.06)


def test_objects_move_with_their_bodies_and_parts_stand_in_for_missing_surfaces():
    cell = FakeCell([thing(parts=(Part("box", (0.02, 0.02, 0.02)),))], [(0.5, 0.05, 0.02)])
    renderer = MitsubaRenderer(RenderConfig(camera=CAMERA, sensor=PLAIN), dark_room)
    renderer.prepare(cell, {"noise_seed": 4})
    first = renderer.render(cell)[0]
    cell.positions = [(0.6, -0.05, 0.02)]
    second = renderer.render(cell)[0]
    renderer.prepare(cell, {"noise_seed": 4})
    assert np.array_equal(second, nth_frame(cell, frame=1))
    bright = [np.argwhere(image.sum(axis=2) > 300).mean(axis=0) for image in (first, second)]
    assert np.linalg.norm(bright[0] - bright[1]) > 5


def test_parts_have_the_color_that_a_screen_shows():
    box_part = Part("box", (0.05, 0.05, 0.02))
    color = (0.5, 0.3, 0.7)
    flat = part_surface(box_part, linear(color))
    drawn = picture(FakeCell([ObjectModel("parts", (box_part,), 0.1, color=color)], [(0.55, 0, 0.02)]))
    wanted = picture(FakeCell([ObjectModel("surface", (), 0.1, (flat,))], [(0.55, 0, 0.02)]))
    assert np.array_equal(drawn, wanted)


def nth_frame(cell, frame):
    """Frame number `frame` of a new renderer, all earlier ones taken of the same state."""
    renderer = MitsubaRenderer(RenderConfig(camera=CAMERA, sensor=PLAIN), dark_room)
    renderer.prepare(cell, {"noise_seed": 4})
    return [renderer.render(cell)[0] for _ in range(frame + 1)][-1]


def test_textures_stand_upright():
    top_red = np.zeros((2, 2, 3), np.uint8)
    top_red[0, :, 0] = top_red[1, :, 2] = 255
    sheet = Surface(
        np.array([(-0.1, 0.1, 0.0), (-0.1, -0.1, 0.0), (0.1, -0.1, 0.0), (0.1, 0.1, 0.0)]),  # v grows along +x
        np.array([(0, 1, 2), (0, 2, 3)]),
        uv=np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]),
        texture=top_red,
        roughness=1.0,
        smooth=False,
    )
    image = picture(FakeCell([thing(sheet)], [(0.55, 0.0, 0.01)])).astype(int)
    for x, channel in ((0.6, 0), (0.5, 2)):
        u, v = CAMERA.project(np.array([x, 0.0, 0.01]))
        assert image[int((v + 1) * 32), int((u + 1) * 32)].argmax() == channel


def test_light_grows_with_the_lamp_and_reddens_with_warmth():
    cell = FakeCell([], [])
    low, high = (picture(cell, {"lamp": power}).mean() for power in (0.7, 1.4))
    assert high > low * 1.1
    warm, cold = (picture(cell, {"warmth": share}).mean(axis=(0, 1)) for share in (0.1, -0.1))
    assert warm[0] > cold[0]
    assert warm[2] < cold[2]


def test_noise_seed_and_frame_decide_the_noise():
    cell = FakeCell([thing(ball((0, 0, 0), 0.03))], [(0.55, 0, 0.03)])
    renderer = MitsubaRenderer(RenderConfig(camera=CAMERA), dark_room)
    renderer.prepare(cell, {"noise_seed": 1})
    frames = [renderer.render(cell)[0] for _ in range(2)]
    assert not np.array_equal(*frames)
    renderer.prepare(cell, {"noise_seed": 2})
    assert not np.array_equal(renderer.render(cell)[0], frames[0])
    renderer.prepare(cell, {"noise_seed": 1})
    assert np.array_equal(renderer.render(cell)[0], frames[0])


def test_no_mask_is_ever_handed_out():
    renderer = MitsubaRenderer(RenderConfig(), dark_room)
    renderer.prepare(FakeCell([]), {})
    assert renderer.render(FakeCell([]))[1] is None


@pytest.mark.parametrize(
    "surface",
    [
        barrel((0, 0, 0), (0.1, 0.02, 0), 0.02),
        ball((0, 0, 0), 0.03),
        box((0.1, 0, 0), (0.01, 0.02, 0.03)),
        soft_box((0, 0, 0.1), (0.02, 0.03, 0.04), 0.005),
        *(
            part_surface(Part(kind, size), (0.5, 0.5, 0.5))
            for kind, size in [
                ("box", (0.01, 0.02, 0.03)),
                ("sphere", (0.02,)),
                ("capsule", (0.01, 0.03)),
                ("cylinder", (0.02, 0.03)),
                ("ellipsoid", (0.01, 0.02, 0.03)),
            ]
        ),
    ],
)
def test_shapes_face_outwards(surface):
    clean = without_slivers(surface)
    corners = clean.vertices[clean.faces]
    # The signed volume is positive exactly if the triangles turn outwards.
    assert np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() > 0
    assert (np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) > 0).all()


def test_part_surfaces_fill_their_part():
    spans = {
        "capsule": (Part("capsule", (0.01, 0.03)), (0.02, 0.02, 0.08)),
        "cylinder": (Part("cylinder", (0.02, 0.03)), (0.04, 0.04, 0.06)),
        "ellipsoid": (Part("ellipsoid", (0.01, 0.02, 0.03)), (0.02, 0.04, 0.06)),
    }
    for part, span in spans.values():
        vertices = part_surface(part, (0.5, 0.5, 0.5)).vertices
        assert np.ptp(vertices, axis=0) == pytest.approx(span, rel=0.1)
        assert (vertices.max(axis=0) + vertices.min(axis=0)) == pytest.approx(np.zeros(3), abs=2e-3)


def test_bin_walls_stand_outside_the_inner_size():
    walls = rim((0.5, 0.1, 0), (0.15, 0.14), 0.02, 0.07, 0.01)
    vertices = walls.vertices - (0.5, 0.1, 0)
    inside = (np.abs(vertices[:, :2]) < (0.149 - 0.01, 0.139 - 0.01)).all(axis=1)
    assert not inside.any()
    assert np.abs(vertices).max(axis=0) == pytest.approx((0.17, 0.16, 0.07))


def test_surfaces_of_one_plain_material_are_joined():
    red = {"color": (0.8, 0.1, 0.1)}
    textured = box((0, 0, 0), (1, 1, 1), texture=np.zeros((2, 2, 3), np.uint8))
    pieces = [ball((0, 0, 0), 1, **red), textured, ball((3, 0, 0), 1, **red), ball((0, 0, 0), 1)]
    joined = merged(pieces)
    assert sorted(len(s.faces) for s in joined) == sorted(
        [2 * len(pieces[0].faces), len(textured.faces), len(pieces[3].faces)]
    )
    both = next(s for s in joined if s.color == red["color"])
    assert both.vertices[both.faces].reshape(-1, 3).max(axis=0) == pytest.approx((4, 1, 1), abs=0.1)


def test_lone_bright_pixels_are_cut_and_bright_areas_kept():
    light = np.full((16, 16, 3), 0.2, np.float32)
    light[3, 3] = 40.0
    light[10:12, 10:12] = 2.0
    cut = without_speckles(light)
    assert cut[3, 3, 0] == pytest.approx(0.3)
    assert (cut[10:12, 10:12] == 2.0).all()
