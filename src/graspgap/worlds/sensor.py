"""A cheap camera: from the light that falls on a sensor to the 8-bit picture that a driver hands out.

Pictures are linear light, float32[h, w, 3], 1.0 = the brightest that is not clipped at unit exposure. Each step is a
pure function; `photograph` chains them in the order in which light meets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from graspgap.contract import Image

Light = Float32[np.ndarray, "h w 3"]
"""Linear RGB, non-negative."""


UNSEEN = 10.0
"""How far from the centre a point is put that no pixel shows [half sides of the picture]."""


@dataclass(frozen=True)
class SensorConfig:
    """What the camera does to the light."""

    barrel: float = 0.015
    """Barrel distortion: how much more the centre is magnified than half way to a corner; 0: a pinhole."""
    vignette: float = 0.35
    """Share of the light lost in the corners."""
    defocus: float = 0.55
    """Standard deviation of the lens's blur [pixels]."""
    exposure: float = 1.0
    """Gain before clipping."""
    balance: tuple[float, float, float] = (1.06, 1.0, 0.93)
    """Gain of red, green and blue: a white balance that is slightly off."""
    electrons: float = 2500.0
    """Electrons at full signal: fewer make more shot noise."""
    read_noise: float = 0.006
    """Standard deviation of the read noise, as a share of full signal."""
    jpeg_quality: int = 85
    """Quality of the JPEG compression, 1 to 100."""


def distort(light: Light, barrel: float) -> Light:
    """Barrel distortion. With p in [-1, 1]^2 from the centre, output p shows input p (1 + barrel (|p|^2 - 2)):
    corners stay, the centre is magnified (the first term of Brown's radial model)."""
    if barrel == 0.0:
        return light
    x, y = _barrel_map(light.shape[0], light.shape[1], barrel)
    return cv2.remap(light, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def distorted(points: Float64[np.ndarray, "n 2"], barrel: float) -> Float64[np.ndarray, "n 2"]:
    """Where a picture that went through `distort` shows points that a pinhole camera sees at `points`; both in
    [-1, 1]. What no pixel shows (`barrel` below 0, far outside) is put `UNSEEN` away from the centre."""
    ideal = np.linalg.norm(points, axis=-1, keepdims=True)
    # barrel r^3 + straight r = ideal, by Newton's method from the side where it can't overshoot
    straight = 1 - 2 * barrel
    shown = ideal / straight
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(50):
            shown = shown - (barrel * shown**3 + straight * shown - ideal) / (straight + 3 * barrel * shown**2)
        seen = np.abs(barrel * shown**3 + straight * shown - ideal) < 1e-6
        seen &= straight + 3 * barrel * shown**2 > 0
        scale = np.where(ideal > 0, np.where(seen, shown, UNSEEN) / ideal, 1.0)
    return points * scale


@lru_cache(maxsize=8)
def _barrel_map(
    height: int, width: int, barrel: float
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    u, v = _centred(height, width)
    factor = 1 + barrel * (u**2 + v**2 - 2)
    return (
        ((u * factor + 1) * width / 2 - 0.5).astype(np.float32),
        ((v * factor + 1) * height / 2 - 0.5).astype(np.float32),
    )


def _centred(height: int, width: int) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Coordinates u (right), v (down) of the pixels' centres, in [-1, 1]."""
    u, v = np.meshgrid((np.arange(width) + 0.5) / width * 2 - 1, (np.arange(height) + 0.5) / height * 2 - 1)
    return u, v


def shade_corners(light: Light, vignette: float) -> Light:
    """Vignette: the light falls off with the squared distance from the centre, by `vignette` in the very corners."""
    return light * _falloff(light.shape[0], light.shape[1], vignette)


@lru_cache(maxsize=8)
def _falloff(height: int, width: int, vignette: float) -> Float32[np.ndarray, "h w 1"]:
    u, v = _centred(height, width)
    return (1 - vignette * (u**2 + v**2) / 2).astype(np.float32)[..., None]


def blur(light: Light, sigma: float) -> Light:
    """Gaussian blur of `sigma` pixels: a lens that is slightly out of focus."""
    return light if sigma == 0.0 else cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def expose(light: Light, exposure: float, balance: tuple[float, float, float]) -> Light:
    """Gain of the whole picture and of each colour channel."""
    return light * (np.float32(exposure) * np.asarray(balance, dtype=np.float32))


def add_noise(light: Light, electrons: float, read_noise: float, rng: np.random.Generator) -> Light:
    """Shot noise, whose variance grows with the signal (signal / electrons), plus read noise of constant variance;
    both Gaussian, which counts of tens of electrons and more are nearly. Negative results are cut to 0."""
    deviation = np.sqrt(np.maximum(light, 0) / np.float32(electrons) + np.float32(read_noise**2))
    return np.maximum(light + deviation * rng.standard_normal(light.shape, dtype=np.float32), 0)


def develop(light: Light) -> Image:
    """Tone curve and quantization: a shoulder that bends highlights to white, x / (1 + x^3)^(1/3), then the sRGB
    transfer function (IEC 61966-2-1)."""
    steps = len(_TONES) - 1
    return _TONES[np.minimum(light * np.float32(steps / _BRIGHTEST) + np.float32(0.5), steps).astype(np.int32)]


def _tone_table(steps: int) -> UInt8[np.ndarray, "n"]:
    """Encoded values of `steps` + 1 equally spaced ones in [0, `_BRIGHTEST`]."""
    light = np.linspace(0, _BRIGHTEST, steps + 1)
    bent = light / np.cbrt(1 + light**3)
    encoded = np.where(bent <= 0.0031308, 12.92 * bent, 1.055 * np.maximum(bent, 0.0031308) ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)


_BRIGHTEST = 8.0
"""Light that is white whatever its exact value."""
_TONES = _tone_table(1 << 15)


def compress(image: Image, quality: int) -> Image:
    """JPEG round trip, with the colour subsampling and blocks it brings."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def photograph(light: Light, config: SensorConfig, rng: np.random.Generator) -> Image:
    """The picture of `light` as the camera hands it out; all randomness (the noise) is drawn from `rng`."""
    through_lens = blur(shade_corners(distort(light, config.barrel), config.vignette), config.defocus)
    signal = expose(through_lens, config.exposure, config.balance)
    return compress(develop(add_noise(signal, config.electrons, config.read_noise, rng)), config.jpeg_quality)


def quantize(picture: Float[np.ndarray, "h w 3"]) -> Image:
    """A drawn picture (0 black, 1 white, as a screen shows it) in 8 bits; what is beyond is cut off."""
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def spoil(picture: Light, sensor: dict[str, Any], rng: np.random.Generator) -> Light:
    """A drawn picture (0 black, 1 white, as a screen shows it) as a worse camera would have taken it.

    `sensor` is as `looks.draw_looks` gives it; its blur is for pictures of 64 pixels and grows with them.
    """
    seen = shade_corners(picture.astype(np.float32), sensor["vignette"])
    seen = expose(blur(seen, sensor["defocus"] * picture.shape[0] / 64), sensor["exposure"], tuple(sensor["balance"]))
    if sensor["shot_noise"]:
        seen = add_noise(seen, sensor["shot_noise"] ** -2, 0.0, rng)
    if sensor["jpeg"]:
        seen = compress(quantize(seen), int(sensor["jpeg"])).astype(np.float32) / 255
    return seen
