"""The camera's steps, each against what physics says it does."""

import numpy as np
import pytest

from graspgap.seeding import generator
from graspgap.worlds import sensor


def flat(value: float, size: int = 64) -> np.ndarray:
    return np.full((size, size, 3), value, np.float32)


def test_vignette_darkens_towards_corners_monotonically():
    diagonal = np.diagonal(sensor.shade_corners(flat(1.0), 0.4)[..., 0])[32:]
    assert (np.diff(diagonal) < 0).all()
    assert diagonal[0] > 0.999
    assert 0.6 <= diagonal[-1] < 0.63


def test_noise_variance_is_read_noise_plus_signal_over_electrons():
    for signal in (0.0, 0.1, 0.8):
        light = flat(signal + 0.2, 200)  # away from 0, where noise is cut
        noisy = sensor.add_noise(light, 1000, 0.01, generator(1, "noise"))
        assert noisy.var() == pytest.approx((signal + 0.2) / 1000 + 0.01**2, rel=0.03)
        assert noisy.mean() == pytest.approx(signal + 0.2, abs=1e-3)
    assert (sensor.add_noise(flat(0.0), 1000, 0.01, generator(1)) >= 0).all()


def test_same_generator_gives_same_picture_and_another_one_another():
    light = generator(3).random((48, 48, 3), dtype=np.float32)
    config = sensor.SensorConfig()
    first = sensor.photograph(light, config, generator(5, "frame"))
    assert np.array_equal(first, sensor.photograph(light, config, generator(5, "frame")))
    assert not np.array_equal(first, sensor.photograph(light, config, generator(6, "frame")))


@pytest.mark.parametrize("size", [48, 63, 64])
def test_jpeg_keeps_the_size_and_nearly_the_picture(size):
    ramp = np.repeat(np.linspace(0, 255, size)[:, None], size, 1).astype(np.uint8)
    image = np.stack([ramp, 255 - ramp, np.full_like(ramp, 90)], axis=-1)
    far, near = (np.abs(sensor.compress(image, quality).astype(int) - image).mean() for quality in (30, 95))
    assert sensor.compress(image, 80).shape == image.shape
    assert near < far < 12


def test_tone_curve_rises_from_black_to_white_and_follows_srgb_in_the_dark():
    light = np.repeat(np.linspace(0, 6, 64, dtype=np.float32)[None, :, None], 3, axis=2)
    tones = sensor.develop(light)[0, :, 0].astype(int)
    assert tones[0] == 0
    assert tones[-1] >= 254
    assert (np.diff(tones) >= 0).all()
    assert sensor.develop(flat(0.2, 1))[0, 0, 0] == pytest.approx(255 * (1.055 * 0.2 ** (1 / 2.4) - 0.055), abs=1.5)


def test_exposure_and_balance_are_gains_of_light():
    bright = sensor.expose(flat(0.2), 1.5, (1.1, 1.0, 0.5))
    assert bright[0, 0] == pytest.approx([0.33, 0.3, 0.15])


def test_blur_keeps_the_mean_and_lowers_the_contrast():
    light = generator(2).random((64, 64, 3), dtype=np.float32)
    soft = sensor.blur(light, 0.8)
    assert soft.mean() == pytest.approx(light.mean(), rel=0.01)
    assert soft.std() < 0.6 * light.std()
    assert sensor.blur(light, 0.0) is light


def test_barrel_distortion_keeps_centre_and_corners_and_magnifies_the_middle():
    u = np.linspace(-1, 1, 65, dtype=np.float32)
    light = np.repeat(np.repeat(np.abs(u)[None, :, None], 65, 0), 3, axis=2)
    seen = sensor.distort(light, 0.05)
    assert seen[32, 32, 0] == pytest.approx(0, abs=0.01)
    assert seen[0, 0, 0] == pytest.approx(1, abs=0.02)
    assert seen[32, 48, 0] < light[32, 48, 0] - 0.02  # what was at 0.45 is now at 0.5
    assert sensor.distort(light, 0.0) is light
