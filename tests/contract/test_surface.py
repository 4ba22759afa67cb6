"""The host names that we use are in the record, and the record matches a WebUI checkout."""
import json

import pytest

from tests.contract import surface
from tests.webui import family

RECORDED = json.loads(surface.RECORD.read_text())
SET_BY_THE_HOSTS_RUN = {"p": {"batch_index", "iteration"}, "denoiser": {"p"}}
"""Attributes that the host sets from outside the class."""


@pytest.mark.parametrize("owner", sorted(surface.used_by_the_adapter()))
def test_every_used_name_is_recorded(owner):
    used = surface.used_by_the_adapter()[owner] - SET_BY_THE_HOSTS_RUN.get(owner, set())
    recorded = RECORDED["parameters"].get(owner) or RECORDED["modules"][owner]
    assert used - set(recorded) == set()


def test_every_used_option_is_recorded():
    assert surface.options_used_by_the_adapter() == set(RECORDED["options"])


def test_every_hook_has_the_hosts_parameters():
    for name, ours in surface.hooks_of_the_script().items():
        given = RECORDED["hooks"][name]
        assert [parameter for parameter in given if parameter in ours or parameter in ("self", "p")] == ours, name


def test_a_webui_checkout_has_the_recorded_surface():
    automatic1111 = family.a1111()
    if automatic1111 is None:
        pytest.skip("SOFTINPAINT_WEBUI names no AUTOMATIC1111")
    assert surface.read(automatic1111.checkout) == RECORDED
