"""An interface in openforge.yaml: what is added, and what stays as it was."""

import pytest
import yaml
from interface_designs import interface, loaded

from openforge import interface_yaml
from openforge.config_load import parse_yaml
from openforge.errors import InterfaceError
from openforge.interface import resolve
from openforge.schema_crypto import CryptoSection, InterfaceSection

FIELDS = {"clock": "clk", "reset": {"signal": "rst_n"}, "public": ["no", "key[3:0]", "a"]}
HEAD = "project: {name: p, top_module: t}\ndesign: {sources: [a.sv]}\n"
PLACES = {
    "nothing": "",
    "no newline": "analysis: {timing: {clock_period: 5.0}}",
    "an empty section": "verification:\n",
    "an empty section with a comment": "verification:  # later\n\n# the end\n",
    "a null": "verification: null  # later\nanalysis:\n",
    "a section": "verification:\n    lint:\n        fail_on: error  # strict\n\n"
    "# next\nanalysis:\n",
    "an empty interface": "verification:\n  crypto_verification:\n    interface:\n\nanalysis:\n",
    "braces": "verification: {lint: {fail_on: error}} # x\n",
    "empty braces": "verification: {crypto_verification: {interface: { }}}\n",
    "a null in braces": "verification: {crypto_verification: {interface: , ntt_validation: {}}}\n",
    "the end of the line": "verification:\n  crypto_verification:\n    interface:\n"
    "      secrets:\n      - k  # the key\n      - l\n\n    constant_time: {depth: 7}\n",
    "braces over lines": "verification:\n  crypto_verification:\n    interface: {\n"
    "      secrets: [k],  # the key\n      start: {signal: s}  # begin\n    }\n",
    "a text over lines": "verification:\n  crypto_verification:\n    interface:\n"
    "      declassify:\n        - signal: x\n          reason: >\n            because\n"
    "            of this\n    constant_time: {depth: 7}\n",
    "odd numbers": "verification: # 0x10\n  simulation: {seed: 0x10, plusargs: {A: 010, B: yes}}\n",
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("place", PLACES)
def test_only_what_is_new_is_added(place, ending):
    """The fields are there, all else means the same, and no line is lost or changed by a byte."""
    text = (HEAD + PLACES[place]).replace("\n", ending)
    changed = interface_yaml.added(text, FIELDS)
    before, after = parse_yaml(text)[0], parse_yaml(changed)[0]
    here = before
    for key in ("verification", "crypto_verification", "interface"):
        here[key] = here.get(key) or {}
        here = here[key]
    here.update(FIELDS)
    assert after == before
    rest = iter(changed)
    kept = text.replace("null", "") if place == "a null" else text
    kept = kept.replace("{ }", "{}")
    assert all(char in rest for char in kept.replace(":   #", ":  #"))
    assert ("\r" in changed) == (ending == "\r\n")
    assert changed.count("\r") in (0, changed.count("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {signal: s}\nverification:\n  crypto_verification:\n    interface: *x\n",
        "verification:\n  crypto_verification: nothing\n",
        "- a list\n",
    ],
)
def test_what_is_in_the_way_is_refused(text):
    """An alias is not changed, as it stands for another place; the message has the lines to add."""
    with pytest.raises(InterfaceError, match="by hand:\nverification:\n  crypto_verif") as caught:
        interface_yaml.added(text, FIELDS)
    assert "clock: clk" in str(caught.value)


def test_long_lists_are_one_item_a_line():
    """A line stays within what people can read."""
    names = [f"a_rather_long_name_{n}" for n in range(20)]
    block = interface_yaml.block({"public": names, "start": {"signal": "s"}}, 6)
    assert max(map(len, block.splitlines())) <= 100
    assert yaml.safe_load(block) == {"public": names, "start": {"signal": "s"}}


GIVEN = {
    "secrets": ["key[9:8]", "table_mem[4]"],
    "randoms": ["mask"],
    "shares": {
        "x": ["share0", "share1"],
        "y": {"of": ["wide[1:0]", "wide[3:2]"], "modulus": 3},
    },
    "reset": {"signal": "rst_n", "cycles": 7},
    "done": {"cycles": 9},
    "constants": {"mode": 1},
    "assume": ["addr != 3"],
    "declassify": [{"signal": "state", "reason": "said so"}],
}


@pytest.mark.parametrize("given", [{}, {"secrets": ["key"]}, GIVEN], ids=["none", "one", "all"])
def test_a_section_says_the_same_as_its_interface(given):
    """An interface written as a section resolves to itself, with nothing left to infer."""
    found = interface(given)
    section = InterfaceSection.model_validate(interface_yaml.as_section(found))
    again = resolve(*loaded("core"), section)
    assert again.inferred == ()
    assert again == found.model_copy(update={"inferred": ()})


def test_what_is_given_is_not_suggested():
    """Only inferred fields are missing; public ones wait for secrets, which are never suggested."""

    def missing(**section):
        crypto = CryptoSection.model_validate({"interface": section})
        return interface_yaml.missing(interface(section), crypto)

    assert list(missing()) == ["clock", "reset", "start", "done", "observables"]
    assert list(missing(secrets=["key"], clock="clk")) == [
        *("reset", "public", "start", "done", "observables")
    ]
    assert missing(**GIVEN)["start"] == {"signal": "start"}
    assert "done" not in missing(**GIVEN)


def test_names_that_yaml_cannot_say_stay_inferred():
    """A field with an escaped identifier in it is not written."""
    section = {"secrets": ["key"]}
    found = interface(section, "odd_names", "odd_names.sv")
    assert [bits.text for bits in found.observables] == ["out;ready", "busy"]
    crypto = CryptoSection.model_validate({"interface": section})
    assert list(interface_yaml.missing(found, crypto)) == ["clock"]
