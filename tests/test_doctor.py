"""The doctor finds what is missing, and says how to mend it."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from graspgap.cli import doctor
from graspgap.cli.doctor import Check, Config
from graspgap.errors import UserError


def named(checks: list[Check], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


def test_a_sound_machine_passes_every_needed_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.run(Config(tmp_path))
    shown = capsys.readouterr().out
    for word in ("MuJoCo", "Mitsuba", "torch", "pybullet", "cores", "GB", "GPU", "display", "write access"):
        assert word in shown
    assert "MISSING" not in shown


def test_what_is_missing_is_named_with_its_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "package_version", lambda name: None if name == "trimesh" else "99.0")
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["trimesh>=4.5", "scipy>=1.14"])
    with pytest.raises(
        UserError, match=r"can't run here yet: 1 of \d+ checks failed: trimesh: pip install 'trimesh>=4.5'"
    ):
        doctor.run(Config(tmp_path))
    assert "MISSING" in capsys.readouterr().out


def test_old_versions_are_told_from_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "package_version", {"torch": "2.13.0+cpu", "scipy": "1.10.0"}.get)
    checks = doctor.check_dependencies(["torch>=2.6", "scipy>=1.14", 'pytest>=8; extra == "dev"'])
    assert [check.name for check in checks] == ["torch", "scipy"]
    assert checks[0].ok
    assert checks[1].blocks
    assert checks[1].found == "1.10.0, expected >=1.14"


def test_an_extra_is_never_needed() -> None:
    (check,) = doctor.check_dependencies(['no-such-package-here>=1; extra == "bullet"'])
    assert (check.ok, check.blocks) == (False, False)
    assert check.fix == "pip install 'graspgap[bullet]'"


def test_an_extra_that_this_python_can_not_have_says_so() -> None:
    (check,) = doctor.check_dependencies(['no-such-package-here; (python_version < "3.0") and extra == "bullet"'])
    assert not check.ok
    assert check.fix == f'not to be had for Python {platform.python_version()}: needs python_version < "3.0"'
    assert doctor.check_dependencies(['no-such-package-here; python_version < "3.0"']) == []


def test_python_must_be_new_enough() -> None:
    assert doctor.check_python((3, 11, 0)).ok
    assert doctor.check_python((4, 0, 0)).ok
    assert doctor.check_python((3, 10, 9)).blocks


def test_little_memory_is_a_hint_and_unknown_memory_is_fine() -> None:
    assert doctor.check_memory(0).ok
    little = doctor.check_memory(2 * 10**9)
    assert (little.ok, little.blocks, little.found) == (False, False, "2.0 GB")


def test_a_folder_that_can_not_be_written_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_writable(tmp_path).ok
    assert list(tmp_path.iterdir()) == []  # looking leaves nothing behind
    assert doctor.check_writable(tmp_path / "absent").blocks
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:  # the superuser may write anywhere, so the refusal is played

        def refuse(dir: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    check = doctor.check_writable(tmp_path)
    tmp_path.chmod(0o700)
    assert check.blocks
    assert check.found == f"{tmp_path}: Permission denied"
    assert "--folder" in check.fix


@pytest.mark.parametrize(("free", "ok"), [(4.9e9, False), (5.1e9, True)])
def test_a_full_disk_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, ok: bool) -> None:
    usage = type("Usage", (), {"free": int(free)})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    assert doctor.check_disk(tmp_path).blocks is not ok


def test_a_library_that_does_not_work_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    import mitsuba
    import mujoco

    monkeypatch.setattr(mitsuba, "variants", lambda: ["cuda_ad_rgb"])
    check = doctor.check_mitsuba()
    assert check.blocks
    assert "scalar_rgb is not among cuda_ad_rgb" in check.found

    monkeypatch.setattr(mujoco, "mj_step", lambda *args, **kwargs: None)  # time stands still
    check = doctor.check_mujoco()
    assert check.blocks
    assert "a ball fell 0.000 m" in check.found


def test_a_missing_module_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    check = doctor.check_mujoco()
    assert check.blocks
    assert check.found.startswith("ModuleNotFoundError")
    assert "pip install" in check.fix


def test_no_gpu_and_no_display_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "gpu_model", lambda: None)
    monkeypatch.setattr(doctor.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for check in (doctor.check_gpu(), doctor.check_display()):
        assert (check.ok, check.blocks, check.found) == (False, False, "none")
    monkeypatch.setenv("DISPLAY", ":0")
    assert doctor.check_display().ok


def test_markup_in_what_was_found_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.Console().print(doctor.as_table([Check("x", False, "[bold]/[/tmp]", "pip install 'a[b]'")]))
    shown = capsys.readouterr().out
    assert "[bold]/[/tmp]" in shown
    assert "pip install 'a[b]'" in shown
