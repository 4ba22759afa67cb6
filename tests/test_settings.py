import math
from pathlib import Path

import pytest

from lib_softinpaint.settings.settings import (
    FIELDS,
    HOSTS,
    OWN_CONTENTS,
    VERSION_KEY,
    Settings,
    as_builtin,
    from_infotext,
    infotext_key,
    markdown_table,
    read_args,
    saved_fields,
    to_infotext,
)
from lib_softinpaint.version import version

BUILTIN_INFOTEXT = {
    "Soft inpainting enabled": "True", "Soft inpainting schedule bias": "0.2", "Soft inpainting preservation strength": "0.05",
    "Soft inpainting transition contrast boost": "1", "Soft inpainting mask influence": "0",
    "Soft inpainting difference threshold": "1.25", "Soft inpainting difference contrast": "1.25"}


def test_the_apis_order_names_and_defaults():
    assert [(field.name, field.default) for field in FIELDS.values()] == [
        ("enabled", False), ("schedule_bias", 1.0), ("preservation_strength", 0.5), ("transition_contrast_boost", 4.0),
        ("mask_influence", 0.0), ("difference_threshold", 0.5), ("difference_contrast", 2.0),
        ("feather_source", "Automatic"), ("edge_taper_px", 12.0), ("grow_px", 0.0), ("feather_width", 32.0),
        ("feather_unit", "pixels"), ("threshold_mix", 0.0), ("least_opacity", 1.0), ("drift_correction", 1.0),
        ("grain", 0.0), ("conditioning_mask", "soft"), ("mask_image", ""), ("automatic_threshold", False),
        ("edge_awareness", 1.0), ("seam_search", 1.0), ("coherence_rounds", 0.0), ("agreement", 1.0),
        ("best_first", False), ("keep_best", 0.0), ("contact_sheet", False), ("regions_one_by_one", False), ("mask_tools", ""),
        ("own_masked_content", "host's"), ("extra_noise", 0.0)]


def test_the_first_seven_settings_are_the_builtins():
    found = [(field.label, field.elem_id, *(field.limits if field.range else (None, None)))
             for field in list(FIELDS.values())[:7]]
    assert found == [
        ("Soft inpainting", "soft_inpainting_enabled", None, None),
        ("Schedule bias", "mask_blend_power", 0, 8),
        ("Preservation strength", "mask_blend_scale", 0, 8),
        ("Transition contrast boost", "inpaint_detail_preservation", 1, 32),
        ("Mask influence", "composite_mask_influence", 0, 1),
        ("Difference threshold", "composite_difference_threshold", 0, 8),
        ("Difference contrast", "composite_difference_contrast", 0, 8)]


def test_few_settings_are_outside_the_closed_section():
    basics = [field.name for field in FIELDS.values() if field.group == "Basics"]
    assert basics == ["preservation_strength", "feather_source", "feather_width", "feather_unit", "edge_awareness"]
    groups = {"", "Basics", "Mask", "Sampling", "Coherence", "Composite", "Candidates"}
    assert {field.group for field in FIELDS.values()} == groups


def test_number_defaults_are_floats():
    assert all(isinstance(field.default, float) for field in FIELDS.values() if field.range)


def test_labels_and_elem_ids_are_unique():
    for name in ("label", "elem_id"):
        assert len({getattr(field, name) for field in FIELDS.values()}) == len(FIELDS)


@pytest.mark.parametrize(("name", "value"), [
    ("schedule_bias", "0.5"), ("schedule_bias", None), ("schedule_bias", math.nan), ("schedule_bias", 8.1),
    ("schedule_bias", True), ("transition_contrast_boost", 0), ("enabled", 1), ("feather_source", "hots")])
def test_the_constructor_validates(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, got "):
        Settings(**{name: value})


def test_positional_arguments_may_be_shorter_or_longer():
    assert read_args([]) == (Settings(), [])
    assert read_args([True]) == (Settings(enabled=True), [])
    later = "a later version's", 7
    ours = ("host", 0, 0, 32, "pixels", 0, 1, 1, 0, "soft", "", False, 0, 0, 2, 0, False, 3, True, True, "smooth 4",
            "recolour", 0.5)
    assert read_args([True, 0.2, 0.05, 1, 0, 1.25, 1.25, *ours, *later]) == (
        Settings(True, 0.2, 0.05, 1, 0, 1.25, 1.25, "host", 0, edge_awareness=0, seam_search=0,
                 coherence_rounds=2, agreement=0, keep_best=3, contact_sheet=True, regions_one_by_one=True,
                 mask_tools="smooth 4", own_masked_content="recolour", extra_noise=0.5), [])


def test_strings_numbers_and_nulls_are_read():
    assert read_args([True, None, "0.05", " 2 ", 0, None, "1.25"]) == (
        Settings(enabled=True, preservation_strength=0.05, transition_contrast_boost=2, difference_contrast=1.25), [])
    assert read_args(["true"])[0].enabled
    assert read_args([1])[0].enabled
    assert not read_args(["False"])[0].enabled
    assert not read_args([None, 0.2])[0].enabled


def test_a_dict_enables_soft_inpainting_by_default():
    assert read_args([{"schedule_bias": 0.2}, 1.0, 0.5]) == (Settings(enabled=True, schedule_bias=0.2), [])
    assert read_args([{"enabled": False, "schedule_bias": 0.2}]) == (Settings(), [])
    assert read_args([{"enabled": None, "schedule_bias": None}]) == (Settings(enabled=True), [])


def test_a_number_out_of_range_is_clamped_and_noted():
    settings, notes = read_args([True, 9, -0.5, 0])
    assert (settings.schedule_bias, settings.preservation_strength, settings.transition_contrast_boost) == (8, 0, 1)
    assert notes == ["Schedule bias must be from 0 to 8, got 9; 8 is used instead.",
                     "Preservation strength must be from 0 to 8, got -0.5; 0 is used instead.",
                     "Transition contrast boost must be from 1 to 32, got 0; 1 is used instead."]
    assert read_args([True, math.inf])[0].schedule_bias == 8


@pytest.mark.parametrize(("args", "sentence"), [
    ([True, "much"], "Schedule bias must be a number from 0 to 8, got 'much'."),
    ([True, math.nan], "Schedule bias must be a number from 0 to 8, got nan."),
    ([True, True], "Schedule bias must be a number from 0 to 8, got True."),
    ([True, [1]], r"Schedule bias must be a number from 0 to 8, got \[1\]."),
    ([True, 10 ** 400], r"Schedule bias must be a number from 0 to 8, got 10{20,30}\.\.\.0{20,30}\.$"),
    ([True, "iVBOR" * 99_999], r"Schedule bias must be a number from 0 to 8, got 'iVBOR.{30,60}'\.$"),
    (["maybe"], "Soft inpainting must be true or false, got 'maybe'."),
    ([True] + [None] * 6 + ["thick"], "Feather source must be one of Automatic, Mask blur, own, host, got 'thick'."),
    ([{"mask_tools": "smoth 4"}], "Mask tools must be steps such as 'fill holes', .*, got 'smoth 4'"),
    ([{"schedule_bais": 1}], ".*'schedule_bais'; did you mean schedule_bias. The settings are enabled, schedule_bias, "),
    ([{"Preservation strength": 1}], ".*setting 'Preservation strength'; did you mean preservation_strength. "),
    ([{"zzz": 1}], "Unknown soft inpainting setting 'zzz'; the settings are enabled, schedule_bias, ")])
def test_an_invalid_setting_raises_one_sentence(args, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        read_args(args)


def test_settings_are_not_read_when_switched_off():
    assert read_args([False, "much"]) == (Settings(), [])


def test_own_masked_content_replaces_the_hosts():
    assert Settings().masked_content("fill") == "fill"
    assert {name: Settings(own_masked_content=name).masked_content("fill") for name in OWN_CONTENTS} == {
        name: "fill" if name == HOSTS else name for name in OWN_CONTENTS}


def test_infotext_makes_the_round_trip():
    settings = Settings(True, 0.2, 0.05, 1, 0, 1.25, 1.25, "host", 3, -2, 40, "% of the mask", 0.75, 0.25, 0.5, 0.1, "hard",
                        "an image", True, 0.8, 0.6, 3, 0.4, regions_one_by_one=True, mask_tools="fill holes, grow 10 %",
                        own_masked_content="local fill", extra_noise=0.3)
    written = {key: str(value) for key, value in to_infotext(settings).items()}
    assert written == {**BUILTIN_INFOTEXT, "Soft inpainting feather source": "host", "Soft inpainting edge taper": "3",
                       "Soft inpainting mask grow": "-2", "Soft inpainting feather width": "40",
                       "Soft inpainting feather unit": "% of the mask", "Soft inpainting threshold mix": "0.75",
                       "Soft inpainting least opacity": "0.25", "Soft inpainting drift correction": "0.5",
                       "Soft inpainting grain": "0.1", "Soft inpainting conditioning mask": "hard",
                       "Soft inpainting automatic threshold": "True", "Soft inpainting edge awareness": "0.8",
                       "Soft inpainting seam search": "0.6", "Soft inpainting coherence rounds": "3",
                       "Soft inpainting agreement": "0.4", "Soft inpainting regions one by one": "True",
                       "Soft inpainting mask tools": "fill holes, grow 10 %",
                       "Soft inpainting own masked content": "local fill", "Soft inpainting extra noise": "0.3",
                       VERSION_KEY: version()}
    read = {field.name: from_infotext(field, written) for field in saved_fields()}
    assert Settings(**read, mask_image="an image") == settings


def test_a_builtin_infotext_sets_later_settings_to_its_equivalents():
    pasted = {name: from_infotext(field, BUILTIN_INFOTEXT) for name, field in FIELDS.items()}
    not_used_by_it = {name for name, value in pasted.items() if value is None}
    assert not_used_by_it == {"feather_width", "feather_unit", "mask_image"}
    assert Settings(**{name: value for name, value in pasted.items() if value is not None}) == \
        Settings(True, 0.2, 0.05, 1, 0, 1.25, 1.25, "host", 0, least_opacity=0, drift_correction=0, edge_awareness=0,
                 seam_search=0, agreement=0) == \
        as_builtin(schedule_bias=0.2, preservation_strength=0.05, transition_contrast_boost=1, difference_threshold=1.25,
                   difference_contrast=1.25)


def test_an_infotext_of_an_earlier_version_of_ours_pastes_as_that_version_behaved():
    params = {"Soft inpainting enabled": "True", "Soft inpainting feather source": "Mask blur", VERSION_KEY: "0.1"}
    pasted = {name: from_infotext(field, params) for name, field in FIELDS.items()}
    assert {name: value for name, value in pasted.items() if value is not None} == {
        "enabled": True, "feather_source": "Mask blur", "edge_awareness": 0, "seam_search": 0, "coherence_rounds": 0,
        "agreement": 0, "best_first": False, "keep_best": 0, "contact_sheet": False, "regions_one_by_one": False,
        "mask_tools": "", "own_masked_content": "host's", "extra_noise": 0}


def test_infotext_leaves_out_what_is_off():
    assert not {"Soft inpainting mask tools", "Soft inpainting own masked content", "Soft inpainting extra noise"} & \
        to_infotext(Settings(enabled=True)).keys()


def test_infotext_without_soft_inpainting_pastes_nothing():
    assert {from_infotext(field, {"Steps": "20"}) for field in FIELDS.values()} == {None}


def test_invalid_pasted_values_are_ignored():
    assert from_infotext(FIELDS["schedule_bias"], {infotext_key(FIELDS["schedule_bias"]): "much"}) is None


def test_the_readme_contains_the_settings_table():
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf8")
    assert markdown_table() in readme, "put `python -m lib_softinpaint.settings.settings` into README.md"


def test_the_documentation_describes_every_setting_in_its_group():
    text = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf8")
    for field in FIELDS.values():
        if field.name != "enabled":
            group = text.partition(f"## {field.group}\n")[2].partition("\n## ")[0]
            assert f"**{field.label.partition(',')[0]}" in group
