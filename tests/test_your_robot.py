"""The guide to one's own robot: its commands and settings exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from graspgap.cli.main import COMMANDS, main
from graspgap.config import from_json
from graspgap.deployment.align.points import BOARD_COLUMNS, COLUMNS
from graspgap.deployment.arm_world import ArmConfig
from graspgap.deployment.lerobot import LeRobotConfig
from graspgap.worlds.limits import SafetyConfig, read_safety

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "your-robot.md").read_text()
WORDS = [line.split("#")[0].split() for line in GUIDE.splitlines() if line.startswith("graspgap ")]


@pytest.mark.parametrize("name", sorted({words[1] for words in WORDS}))
def test_every_command_and_option_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name in COMMANDS
    with pytest.raises(SystemExit):
        main([name, "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    used = {word for words in WORDS if words[1] == name for word in words if word.startswith("--")}
    assert used <= known


def test_the_settings_are_read() -> None:
    text = next(block for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL) if "[arm]" in block)
    values = tomllib.loads(text)
    from_json(ArmConfig, values.pop("arm"))
    from_json(LeRobotConfig, values)
    read_safety(tomllib.loads((ROOT / "examples" / "robot" / "robot.toml").read_text())["safety"])
    assert f"{','.join(COLUMNS)},yaw\n" in GUIDE
    assert f"`{','.join(BOARD_COLUMNS)}`" in GUIDE


def test_the_defaults_are_as_the_guide_says() -> None:
    config = SafetyConfig()
    for name in ("step", "turn", "speed", "force", "moves", "observe_seconds", "move_seconds", "grasp_seconds"):
        assert f"`{name}` {getattr(config, name):g}" in GUIDE
    assert f"`touch {config.stop_file}`" in GUIDE
