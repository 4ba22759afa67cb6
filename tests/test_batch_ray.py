"""The command batch on a real Ray cluster of two nodes, whose workers and one of whose nodes are killed."""
import importlib.util
import os
import tempfile
from pathlib import Path

import pytest

from lib_softinpaint.batch import manifest
from tests.test_batch import WORDS, lines, single, started, wait_for, write_images

if importlib.util.find_spec("ray") is None or os.name != "posix":
    pytest.skip("Ray is not installed", allow_module_level=True)

from tests.ray_cluster import Cluster, kill_tree

IMAGES = 24


@pytest.fixture(scope="module")
def cluster():
    with tempfile.TemporaryDirectory(prefix="si") as folder, Cluster(Path(folder) / "r", gpus=1) as running:
        yield running


def test_killed_workers_and_a_killed_node_cost_only_retries(cluster, tmp_path):
    write_images(tmp_path, IMAGES)
    made = tmp_path / "made"
    command = started(tmp_path, "images", "--mask", "mask.png", *WORDS, "--ray", cluster.address, "--gpus-per-worker", "0.5",
                      "-o", "made")

    def done(count):
        wait_for(lambda: len(lines(made)) >= count or command.poll() is not None)
        assert command.poll() is None, command.communicate()
    done(3)
    wait_for(lambda: len(cluster.workers()) == 2)
    cluster.workers()[0].kill()
    done(7)
    kill_tree(cluster.nodes[1].pid)  # the second node, with its raylet and its worker
    _, message = command.communicate()
    assert command.returncode == 0, message
    found = lines(made)
    assert {entry["result"] for entry in found} == {f"{number}.png" for number in range(IMAGES)}
    assert len(found) == IMAGES
    assert all(entry["status"] == "done" for entry in found)
    assert 1 <= sum(entry["tries"] > 1 for entry in found) <= 2
    assert "was lost while it generated" in message
    assert sorted(path.name for path in made.iterdir() if path.suffix != ".lock") == sorted(
        [f"{number}.png" for number in range(IMAGES)] + [manifest.NAME])
    again = next(entry for entry in found if entry["tries"] > 1)
    assert (made / again["result"]).read_bytes() == single(tmp_path, Path(again["result"]).stem, "single.png", *WORDS)


def test_a_cluster_without_room_for_a_worker_is_reported(cluster, tmp_path):
    write_images(tmp_path, 1)
    command = started(tmp_path, "images", "--mask", "mask.png", "--ray", cluster.address, "--gpus-per-worker", "2.5",
                      "-o", "made")
    _, message = command.communicate()
    assert "the Ray cluster must have 1 CPUs and 2.5 GPUs for a worker, got" in message
    assert command.returncode == 2 and lines(tmp_path / "made") == []
