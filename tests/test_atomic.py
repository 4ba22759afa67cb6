import os

import pytest

from lib_softinpaint.atomic_file import replacing


def test_the_file_holds_what_was_written(tmp_path):
    with replacing(tmp_path / "a.bin") as file:
        file.write(b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.bin") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_link_keeps_pointing_to_its_file(tmp_path):
    (tmp_path / "real.bin").write_bytes(b"old")
    link = tmp_path / "link.bin"
    link.symlink_to("real.bin")
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink() and (tmp_path / "real.bin").read_bytes() == b"new"


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    with replacing(tmp_path / "a.bin") as file:
        file.write(b"new")
    (tmp_path / "b.bin").write_bytes(b"new")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "b.bin").stat().st_mode


def test_a_missing_folder_raises_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "a.bin"):
        pass
